// What a process needs before it may be given work.
#pragma once

#include <functional>
#include <map>
#include <mutex>
#include <string>
#include <string_view>
#include <utility>
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
    // Name and text, by name.
    std::vector<std::pair<std::string, std::string>> notes;

    // {"ready":false,"draining":false,"checks":[{"name":"store","ready":false,"reason":"…"}]}, and
    // "notes":[{"name":"store","note":"…"}] where there are any.
    std::string ToJson() const;
  };

  // Adds or replaces the check called `name`. It runs on the admin server's thread at each request,
  // so it must not block; it must not use this object.
  void Register(std::string name, Check check);
  // What the report should say about `name` though it is ready; empty: nothing. Runs as checks do.
  using Note = std::function<std::string()>;
  void RegisterNote(std::string name, Note note);
  // Removes check and note, and waits until they do not run. For those that refer to something
  // shorter-lived.
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
  std::map<std::string, Note, std::less<>> notes_;
};

}  // namespace penstock::lifecycle
