// The user whom worker processes run as.
#pragma once

#include <cstdint>
#include <string>

#include "absl/status/statusor.h"

namespace penstock::executor {

struct ProcessUser {
  std::string name;  // Empty: the executor's own, and the numbers say nothing.
  std::uint32_t user_id = 0;
  std::uint32_t group_id = 0;
};

// Looks up `name`; empty gives the executor's own user. Makes `work_dir` and checks that the user
// gets there. INVALID_ARGUMENT, naming the key: for a user who does not exist or is root, when this
// process is not root, and for a folder on the way that the user may not pass.
absl::StatusOr<ProcessUser> FindProcessUser(const std::string& name, const std::string& work_dir);

}  // namespace penstock::executor
