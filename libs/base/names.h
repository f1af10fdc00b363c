// Resource names: "spaces/{space}/functions/{function}" and the rules for their ids.
#pragma once

#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace penstock {

inline constexpr std::string_view kDefaultSpace = "default";

// A resource in a space. `collection` is the plural in the name, for example "functions".
struct ResourceName {
  std::string space;
  std::string collection;
  std::string id;

  std::string ToString() const;
};

// Checks a space id: ^[A-Za-z0-9._-]{3,63}$. The error names `field`.
absl::Status CheckSpace(std::string_view field, std::string_view space);

// Checks a resource id: 1 to 63 of [A-Za-z0-9._-], first and last alphanumeric. The error names
// `field`.
absl::Status CheckResourceId(std::string_view field, std::string_view id);

// Parses "spaces/{space}/{collection}/{id}" and checks every part. The error names `field`.
absl::StatusOr<ResourceName> ParseResourceName(std::string_view field, std::string_view collection,
                                               std::string_view name);

// Parses a parent, "spaces/{space}", and returns the space. The error names `field`.
absl::StatusOr<std::string> ParseSpaceParent(std::string_view field, std::string_view parent);

// Accepts either a bare id, meant in `space`, or a full name that must lie in `space`; returns the
// id.
absl::StatusOr<std::string> ParseReference(std::string_view field, std::string_view collection,
                                           std::string_view space, std::string_view reference);

// A resource name with a tag behind it, after AIP-162: "spaces/{space}/{collection}/{id}@{tag}" is
// one revision of the resource. Without a tag it is the resource.
struct TaggedName {
  ResourceName name;
  std::string tag;

  std::string ToString() const;
};

// Parses a resource name that may have a tag, which follows the rules for ids. The error names
// `field`.
absl::StatusOr<TaggedName> ParseTaggedName(std::string_view field, std::string_view collection,
                                           std::string_view name);

// Checks "{id}" or "{id}@{tag}". The error names `field`.
absl::Status CheckTaggedId(std::string_view field, std::string_view id);

// As ParseReference, for "{id}", "{id}@{tag}" and the full names of these; returns the part behind
// the collection.
absl::StatusOr<std::string> ParseTaggedReference(std::string_view field,
                                                 std::string_view collection,
                                                 std::string_view space,
                                                 std::string_view reference);

}  // namespace penstock
