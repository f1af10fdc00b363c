// What a second reading of a program's keys would change.
#pragma once

#include <string>
#include <vector>

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

}  // namespace penstock::config
