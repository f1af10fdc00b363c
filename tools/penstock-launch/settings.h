// What the launcher was told, and how it says that it cannot.
#pragma once

#include <sys/resource.h>
#include <sys/types.h>
#include <unistd.h>

#include <string>
#include <string_view>

namespace penstock::launch {

inline constexpr int kStartFailed = 127;

struct Settings {
  pid_t parent = 0;
  std::string work_dir;
  int answer_fd = STDOUT_FILENO;
  rlim_t data_bytes = RLIM_INFINITY;
  rlim_t address_bytes = RLIM_INFINITY;
  rlim_t files = 0;  // 0 leaves the limit as it is.
  uid_t user = 0;    // 0: stay who we are.
  gid_t group = 0;
  bool needs_user = false;
  bool needs_no_network = false;
  bool needs_namespaces = false;
  bool best_effort = false;
  char** program = nullptr;  // argv of the worker, ended by a null pointer.
};

// Writes the worker's first answer, which says `message`, and ends the process.
[[noreturn]] void Fail(const Settings& settings, const std::string& message);

// The same with what errno means behind `action`.
[[noreturn]] void FailWithErrno(const Settings& settings, const std::string& action);

}  // namespace penstock::launch
