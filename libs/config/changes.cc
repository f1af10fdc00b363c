#include "libs/config/changes.h"

#include "libs/config/table.h"

namespace penstock::config {

std::vector<KeyState> KeyStates(const Binder& binder) {
  std::vector<KeyState> states;
  for (const auto& key : binder.table().keys) {
    states.push_back({key->name, ToYaml(key->write()), key->reloadable});
  }
  return states;
}

}  // namespace penstock::config
