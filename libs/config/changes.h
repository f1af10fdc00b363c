// What a second reading of a program's keys would change.
#pragma once

#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "libs/config/binder.h"

namespace penstock::config {

// The present value of one key.
struct KeyState {
  std::string name;
  // As YAML; a secret is masked, so that a change of it does not show.
  std::string value;
  bool reloadable = false;
};

// All bound keys, in the order of binding.
std::vector<KeyState> KeyStates(const Binder& binder);

// Gives every key of `next` that is not Reloadable the value that it has in `running`, where the
// same keys are bound. INTERNAL for a secret that is not Reloadable, which nobody is shown.
absl::Status KeepFixed(const Binder& running, Binder& next);

// `wanted`, but for what a running program cannot take over: that is as in `running`. For configs
// whose Bind(Binder&, Config&) stands in their namespace.
template <typename Config>
absl::StatusOr<Config> WithFixedOf(Config running, Config wanted) {
  Binder old_keys;
  Bind(old_keys, running);
  Binder new_keys;
  Bind(new_keys, wanted);
  if (absl::Status kept = KeepFixed(old_keys, new_keys); !kept.ok()) return kept;
  return wanted;
}

}  // namespace penstock::config
