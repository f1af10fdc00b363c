#include "services/function-manager/domain/versions.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <charconv>
#include <optional>
#include <set>
#include <vector>

#include "libs/base/status.h"
#include "services/function-manager/domain/errors.h"
#include "services/function-manager/domain/text.h"

namespace penstock::functions {
namespace {

// Versions and aliases that a refusal lists.
constexpr std::size_t kNamedMax = 20;

std::string VersionsText(const std::vector<std::int64_t>& versions) {
  const std::size_t from = versions.size() - std::min(versions.size(), kNamedMax);
  return fmt::format(
      "{}{}", from == 0 ? "" : "…, ",
      fmt::join(versions.begin() + static_cast<std::ptrdiff_t>(from), versions.end(), ", "));
}

}  // namespace

std::string TaggedText(const FunctionName& name, const std::string& tag) {
  return tag.empty() ? name.ToString() : fmt::format("{}@{}", name.ToString(), tag);
}

absl::Status CheckEtag(const std::string& what, const std::string& current,
                       const std::string& etag) {
  if (etag.empty() || etag == current) return absl::OkStatus();
  return WithReason(
      absl::AbortedError(fmt::format(
          "{} was changed: its etag is \"{}\", not \"{}\"; read it again and repeat the change",
          what, current, etag.substr(0, 80))),
      kReasonEtagMismatch, {{"resource", what}, {"etag", current}});
}

std::int64_t VersionNumber(const std::string& tag) {
  std::int64_t number = 0;
  const auto [end, error] = std::from_chars(tag.data(), tag.data() + tag.size(), number);
  return error == std::errc() && end == tag.data() + tag.size() ? number : 0;
}

absl::StatusOr<std::int64_t> ResolveTag(FunctionReader& reader, const Function& function,
                                        const std::string& tag) {
  if (const auto alias = function.aliases.find(tag); alias != function.aliases.end()) {
    return alias->second.version;
  }
  if (const std::int64_t number = VersionNumber(tag); number != 0) {
    ASSIGN_OR_RETURN(const auto versions, reader.Versions(function.name));
    if (std::binary_search(versions.begin(), versions.end(), number)) return number;
    return VersionNotFound(reader, function, number);
  }
  std::vector<std::string> names;
  for (const auto& [name, alias] : function.aliases) {
    if (names.size() < kNamedMax) names.push_back(name);
  }
  return WithReason(
      absl::NotFoundError(fmt::format(
          "Function \"{}\" has no alias {}; it has {}", function.name.ToString(), Quoted(tag),
          names.empty() ? "none" : fmt::format("{}", fmt::join(names, ", ")))),
      kReasonAliasNotFound, {{"function", function.name.ToString()}, {"alias", tag}});
}

absl::Status VersionNotFound(FunctionReader& reader, const Function& function,
                             std::int64_t version) {
  ASSIGN_OR_RETURN(const auto versions, reader.Versions(function.name));
  return WithReason(
      absl::NotFoundError(fmt::format("Function \"{}\" has no version {}; it has {}",
                                      function.name.ToString(), version, VersionsText(versions))),
      kReasonVersionNotFound,
      {{"function", function.name.ToString()}, {"version", std::to_string(version)}});
}

absl::Status ForgetVersions(FunctionWriter& writer, const Function& function,
                            std::size_t kept_max) {
  ASSIGN_OR_RETURN(std::vector<std::int64_t> versions, writer.Versions(function.name));
  if (versions.size() <= kept_max) return absl::OkStatus();
  std::set<std::int64_t> needed{function.version};
  for (const TrafficTarget& target : function.traffic) needed.insert(target.version);
  for (const auto& [name, alias] : function.aliases) needed.insert(alias.version);
  ASSIGN_OR_RETURN(const std::vector<Hold> holds, writer.TagHolds(function.name));
  for (const Hold& hold : holds) needed.insert(VersionNumber(hold.tag));
  std::erase_if(versions, [&](std::int64_t version) { return needed.contains(version); });
  if (versions.size() <= kept_max) return absl::OkStatus();
  versions.resize(versions.size() - kept_max);  // The oldest come first.
  return writer.RemoveVersions(function, versions);
}

absl::StatusOr<bool> IsReached(FunctionReader& reader, const VersionName& name) {
  ASSIGN_OR_RETURN(const std::optional<Function> function, reader.Get(name.function));
  if (!function) return false;
  if (function->version == name.version) return true;
  for (const TrafficTarget& target : function->traffic) {
    if (target.version == name.version) return true;
  }
  for (const auto& [id, alias] : function->aliases) {
    if (alias.version == name.version) return true;
  }
  ASSIGN_OR_RETURN(const std::vector<Hold> holds, reader.TagHolds(name.function));
  return std::any_of(holds.begin(), holds.end(),
                     [&](const Hold& hold) { return VersionNumber(hold.tag) == name.version; });
}

}  // namespace penstock::functions
