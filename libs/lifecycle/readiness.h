// What a process needs before it may be given work.
#pragma once

#include <functional>
#include <map>
#include <mutex>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"

namespace penstock::lifecycle {

// Named checks that together say whether the process is ready. Thread-safe.
class Readiness {
 public:
  using Check = std::function<absl::Status()>;

  struct Result {
    std::string name;
    absl::Status status;
  };
  struct Report {
    bool ready = false;
    bool draining = false;
    // By name.
    std::vector<Result> checks;

    // {"ready":false,"draining":false,"checks":[{"name":"store","ready":false,"reason":"…"}]}
    std::string ToJson() const;
  };

  // Adds or replaces the check called `name`. It runs on the admin server's thread at each request,
  // so it must not block; it must not use this object.
  void Register(std::string name, Check check);
  // Removes it, and waits until it does not run. For checks that refer to something shorter-lived.
  void Unregister(std::string_view name);

  // From now on the process is not ready, whatever the checks say.
  void SetDraining();
  bool draining() const;

  // Runs every check. Ready when not draining and all are OK.
  Report Evaluate() const;

 private:
  mutable std::mutex mutex_;
  bool draining_ = false;
  std::map<std::string, Check, std::less<>> checks_;
};

}  // namespace penstock::lifecycle
