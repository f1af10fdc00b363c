// Which spaces there are.
#pragma once

#include <fmt/format.h>

#include <set>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "libs/base/names.h"
#include "libs/base/status.h"
#include "services/function-manager/domain/errors.h"
#include "services/function-manager/domain/function.h"

namespace penstock::functions {

// Every well-formed id is a space, unless a list names the only ones. Immutable, thread-safe.
class SpaceRule {
 public:
  // `allowed` empty: every space.
  explicit SpaceRule(const std::vector<std::string>& allowed)
      : allowed_(allowed.begin(), allowed.end()) {}

  // NOT_FOUND when the list is closed and lacks `space`.
  absl::Status Check(const std::string& space) const {
    if (allowed_.empty() || allowed_.contains(space)) return absl::OkStatus();
    return WithReason(
        absl::NotFoundError(fmt::format(
            "Space \"{}\" not found: spaces.allowed names the only spaces of this installation",
            space)),
        kReasonSpaceNotAllowed, {{"space", space}});
  }

  // Parses "spaces/{space}" and checks the space. Errors name `field`.
  absl::StatusOr<std::string> ParseParent(std::string_view field, std::string_view parent) const {
    ASSIGN_OR_RETURN(std::string space, ParseSpaceParent(field, parent));
    RETURN_IF_ERROR(Check(space));
    return space;
  }

  // Parses the name of a function and checks its space. Errors name `field`.
  absl::StatusOr<FunctionName> ParseFunction(std::string_view field, std::string_view name) const {
    ASSIGN_OR_RETURN(ResourceName parsed, ParseResourceName(field, kCollection, name));
    RETURN_IF_ERROR(Check(parsed.space));
    return FunctionName{std::move(parsed.space), std::move(parsed.id)};
  }

  // Parses the name of a function that may have a tag and checks its space. Errors name `field`.
  absl::StatusOr<TaggedName> ParseTagged(std::string_view field, std::string_view name) const {
    ASSIGN_OR_RETURN(TaggedName parsed, ParseTaggedName(field, kCollection, name));
    RETURN_IF_ERROR(Check(parsed.name.space));
    return parsed;
  }

 private:
  const std::set<std::string> allowed_;
};

}  // namespace penstock::functions
