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

// Gives every key of `running` that is Reloadable the value that it has in `wanted`, where the same
// keys are bound. INTERNAL for a secret that is Reloadable, which nobody is shown; INVALID_ARGUMENT
// naming keys for values that could not be read from a file.
absl::Status TakeReloadable(const Binder& wanted, Binder& running);

// `running` with what a running program takes over of `wanted`. For configs whose
// Bind(Binder&, Config&) stands in their namespace.
template <typename Config>
absl::StatusOr<Config> WithReloadableOf(Config running, Config wanted) {
  Binder new_keys;
  Bind(new_keys, wanted);
  Binder old_keys;
  Bind(old_keys, running);
  if (absl::Status taken = TakeReloadable(new_keys, old_keys); !taken.ok()) return taken;
  return running;
}

}  // namespace penstock::config
