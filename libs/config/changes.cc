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

absl::Status TakeReloadable(const Binder& wanted, Binder& running) {
  Problems problems;
  for (const auto& key : running.table().keys) {
    const internal::Key* source = wanted.table().Find(key->name);
    if (!key->reloadable || source == nullptr) continue;
    if (key->secret) return absl::InternalError(key->name + " is secret and reloadable");
    key->read(source->write(), key->name, problems);
  }
  return problems.ToStatus();
}

}  // namespace penstock::config
