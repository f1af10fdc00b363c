// What is common to the rules for functions and their versions.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "services/function-manager/domain/function.h"
#include "services/function-manager/ports/function_store.h"

namespace penstock::functions {

// "spaces/{space}/functions/{id}", with "@{tag}" behind it unless the tag is empty.
std::string TaggedText(const FunctionName& name, const std::string& tag);

// ABORTED when `etag` is neither empty nor the current one of `current`, which `what` names.
absl::Status CheckEtag(const std::string& what, const std::string& current,
                       const std::string& etag);

// The number that `tag` is; 0 when it is none, and so an alias.
std::int64_t VersionNumber(const std::string& tag);

// The version that `tag`, a number or an alias, stands for. NOT_FOUND naming what there is.
absl::StatusOr<std::int64_t> ResolveTag(FunctionReader& reader, const Function& function,
                                        const std::string& tag);

// NOT_FOUND, naming the versions that are kept.
absl::Status VersionNotFound(FunctionReader& reader, const Function& function,
                             std::int64_t version);

// True when calls reach the version without naming its number.
absl::StatusOr<bool> IsReached(FunctionReader& reader, const VersionName& name);

// Removes the versions of `function`, which was just stored, that nothing needs: of those that are
// not the newest and that neither traffic nor an alias nor a hold names, the last `kept_max` stay.
absl::Status ForgetVersions(FunctionWriter& writer, const Function& function, std::size_t kept_max);

}  // namespace penstock::functions
