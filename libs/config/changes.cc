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

absl::Status KeepFixed(const Binder& running, Binder& next) {
  Problems problems;
  for (const auto& key : next.table().keys) {
    const internal::Key* own = running.table().Find(key->name);
    if (key->reloadable || own == nullptr) continue;
    if (key->secret) return absl::InternalError(key->name + " is secret and not reloadable");
    key->read(own->write(), key->name, problems);
  }
  return problems.ToStatus();
}

}  // namespace penstock::config
