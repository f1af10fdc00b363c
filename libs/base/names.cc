#include "libs/base/names.h"

#include <fmt/format.h>

#include <algorithm>

#include "libs/base/status.h"

namespace penstock {
namespace {

constexpr std::size_t kSpaceLengthMin = 3;
constexpr std::size_t kLengthMax = 63;

bool IsAlphanumeric(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
}

bool IsIdCharacter(char c) { return IsAlphanumeric(c) || c == '.' || c == '_' || c == '-'; }

}  // namespace

std::string ResourceName::ToString() const {
  return fmt::format("spaces/{}/{}/{}", space, collection, id);
}

absl::Status CheckSpace(std::string_view field, std::string_view space) {
  if (space.size() >= kSpaceLengthMin && space.size() <= kLengthMax &&
      std::all_of(space.begin(), space.end(), IsIdCharacter)) {
    return absl::OkStatus();
  }
  return FieldError(field, fmt::format("\"{}\" is not a space: expected 3 to 63 letters, digits, "
                                       "dots, underscores or hyphens",
                                       space.substr(0, 80)));
}

absl::Status CheckResourceId(std::string_view field, std::string_view id) {
  if (!id.empty() && id.size() <= kLengthMax && IsAlphanumeric(id.front()) &&
      IsAlphanumeric(id.back()) && std::all_of(id.begin(), id.end(), IsIdCharacter)) {
    return absl::OkStatus();
  }
  return FieldError(
      field, fmt::format("\"{}\" is not an id: expected 1 to 63 letters, digits, dots, "
                         "underscores or hyphens, starting and ending with a letter or digit",
                         id.substr(0, 80)));
}

absl::StatusOr<ResourceName> ParseResourceName(std::string_view field, std::string_view collection,
                                               std::string_view name) {
  const std::string middle = fmt::format("/{}/", collection);
  const std::size_t at = name.find(middle);
  if (!name.starts_with("spaces/") || at == std::string_view::npos || at < 7) {
    return FieldError(field, fmt::format("\"{}\" is not a name: expected "
                                         "\"spaces/{{space}}/{}/{{id}}\"",
                                         name.substr(0, 200), collection));
  }
  ResourceName parsed{std::string(name.substr(7, at - 7)), std::string(collection),
                      std::string(name.substr(at + middle.size()))};
  RETURN_IF_ERROR(CheckSpace(field, parsed.space));
  RETURN_IF_ERROR(CheckResourceId(field, parsed.id));
  return parsed;
}

absl::StatusOr<std::string> ParseSpaceParent(std::string_view field, std::string_view parent) {
  if (!parent.starts_with("spaces/")) {
    return FieldError(field, fmt::format("\"{}\" is not a parent: expected \"spaces/{{space}}\"",
                                         parent.substr(0, 200)));
  }
  const std::string_view space = parent.substr(7);
  RETURN_IF_ERROR(CheckSpace(field, space));
  return std::string(space);
}

absl::StatusOr<std::string> ParseReference(std::string_view field, std::string_view collection,
                                           std::string_view space, std::string_view reference) {
  if (reference.find('/') == std::string_view::npos) {
    RETURN_IF_ERROR(CheckResourceId(field, reference));
    return std::string(reference);
  }
  ASSIGN_OR_RETURN(ResourceName parsed, ParseResourceName(field, collection, reference));
  if (parsed.space != space) {
    return FieldError(field,
                      fmt::format("\"{}\" is in another space than \"{}\"", reference, space));
  }
  return parsed.id;
}

std::string TaggedName::ToString() const {
  return tag.empty() ? name.ToString() : fmt::format("{}@{}", name.ToString(), tag);
}

absl::StatusOr<TaggedName> ParseTaggedName(std::string_view field, std::string_view collection,
                                           std::string_view name) {
  const std::size_t at = name.rfind('@');
  TaggedName parsed;
  ASSIGN_OR_RETURN(parsed.name, ParseResourceName(field, collection, name.substr(0, at)));
  if (at == std::string_view::npos) return parsed;
  RETURN_IF_ERROR(CheckResourceId(field, name.substr(at + 1)));
  parsed.tag = std::string(name.substr(at + 1));
  return parsed;
}

absl::Status CheckTaggedId(std::string_view field, std::string_view id) {
  const std::size_t at = id.rfind('@');
  RETURN_IF_ERROR(CheckResourceId(field, id.substr(0, at)));
  return at == std::string_view::npos ? absl::OkStatus()
                                      : CheckResourceId(field, id.substr(at + 1));
}

absl::StatusOr<std::string> ParseTaggedReference(std::string_view field,
                                                 std::string_view collection,
                                                 std::string_view space,
                                                 std::string_view reference) {
  const std::size_t at = reference.rfind('@');
  ASSIGN_OR_RETURN(std::string id,
                   ParseReference(field, collection, space, reference.substr(0, at)));
  if (at != std::string_view::npos) {
    RETURN_IF_ERROR(CheckResourceId(field, reference.substr(at + 1)));
    id += reference.substr(at);
  }
  return id;
}

}  // namespace penstock
