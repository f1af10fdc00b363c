#include "services/function-executor/app/process_user.h"

#include <pwd.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <system_error>
#include <vector>

#include "fmt/format.h"
#include "libs/base/status.h"

namespace penstock::executor {
namespace {

namespace fs = std::filesystem;

constexpr std::size_t kEntryBytes = 16U << 10;

// Whether the user may pass through `folder`.
bool MayPass(const struct stat& folder, const ProcessUser& user) {
  if (folder.st_uid == user.user_id) return (folder.st_mode & S_IXUSR) != 0;
  if (folder.st_gid == user.group_id) return (folder.st_mode & S_IXGRP) != 0;
  return (folder.st_mode & S_IXOTH) != 0;
}

absl::Status CheckReachable(const ProcessUser& user, const std::string& work_dir) {
  std::error_code error;
  const fs::path path = fs::absolute(work_dir, error).lexically_normal();
  fs::create_directories(path, error);
  fs::path folder;
  for (const fs::path& part : path) {
    folder /= part;
    struct stat status {};
    if (::stat(folder.c_str(), &status) != 0) {
      return FieldError("process.work_dir", fmt::format("{} cannot be used", folder.string()));
    }
    if (MayPass(status, user)) continue;
    return FieldError("process.work_dir",
                      fmt::format("the user {} (process.user) may not pass through {}: expected a "
                                  "folder that all users reach",
                                  user.name, folder.string()));
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<ProcessUser> FindProcessUser(const std::string& name, const std::string& work_dir) {
  if (name.empty()) return ProcessUser{};
  passwd entry{};
  passwd* found = nullptr;
  std::vector<char> buffer(kEntryBytes);
  ::getpwnam_r(name.c_str(), &entry, buffer.data(), buffer.size(), &found);
  if (found == nullptr) {
    return FieldError("process.user", fmt::format("there is no user \"{}\"", name));
  }
  if (found->pw_uid == 0) {
    return FieldError("process.user", "is root: expected a user with fewer rights");
  }
  if (::geteuid() != 0) {
    return FieldError("process.user", "can be set only when the executor runs as root");
  }
  ProcessUser user{name, found->pw_uid, found->pw_gid};
  RETURN_IF_ERROR(CheckReachable(user, work_dir));
  return user;
}

}  // namespace penstock::executor
