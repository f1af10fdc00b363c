#include "services/event-broker/domain/filter/filter.h"

#include <fmt/format.h>

#include <algorithm>

#include "libs/base/status.h"

namespace penstock::broker {
namespace {

constexpr int kDepthMax = 8;
constexpr int kCountMax = 32;
constexpr std::size_t kValueLengthMax = 2048;

const char* NameOf(Filter::Kind kind) {
  switch (kind) {
    case Filter::Kind::kExact: return "exact";
    case Filter::Kind::kPrefix: return "prefix";
    case Filter::Kind::kSuffix: return "suffix";
    case Filter::Kind::kAll: return "all";
    case Filter::Kind::kAny: return "any";
    case Filter::Kind::kNot: return "not";
  }
  return "";
}

bool IsAttributeName(std::string_view name) {
  return !name.empty() && name.size() <= 64 && std::all_of(name.begin(), name.end(), [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');
  });
}

absl::Status CheckAttributes(const std::string& path, const Filter& filter) {
  if (filter.attributes.empty()) return FieldError(path, "names no attribute");
  for (const auto& [name, value] : filter.attributes) {
    if (!IsAttributeName(name)) {
      return FieldError(path,
                        fmt::format("\"{}\" is not an attribute name: expected 1 to 64 of a-z "
                                    "and 0-9",
                                    name.substr(0, 80)));
    }
    if (value.empty() || value.size() > kValueLengthMax) {
      return FieldError(path + "." + name, "expected 1 to 2048 characters");
    }
  }
  return absl::OkStatus();
}

absl::Status Check(const std::string& path, const Filter& filter, int depth, int& count) {
  if (++count > kCountMax) return FieldError("filters", "more than 32 filters in all");
  if (depth > kDepthMax) return FieldError(path, "is nested more than 8 levels deep");
  const std::string here = path + "." + NameOf(filter.kind);
  if (filter.kind <= Filter::Kind::kSuffix) return CheckAttributes(here, filter);
  if (filter.children.empty()) return FieldError(here, "needs at least one filter");
  for (std::size_t i = 0; i < filter.children.size(); ++i) {
    const std::string child =
        filter.kind == Filter::Kind::kNot ? here : fmt::format("{}[{}]", here, i);
    RETURN_IF_ERROR(Check(child, filter.children[i], depth + 1, count));
  }
  return absl::OkStatus();
}

template <typename Compare>
bool AllAttributes(const Filter& filter, const AttributeSource& event, Compare compare) {
  return std::all_of(filter.attributes.begin(), filter.attributes.end(), [&](const auto& wanted) {
    const auto value = event.Attribute(wanted.first);
    return value && compare(*value, std::string_view(wanted.second));
  });
}

}  // namespace

absl::Status CheckFilters(const std::vector<Filter>& filters) {
  int count = 0;
  for (std::size_t i = 0; i < filters.size(); ++i) {
    RETURN_IF_ERROR(Check(fmt::format("filters[{}]", i), filters[i], 1, count));
  }
  return absl::OkStatus();
}

bool Holds(const Filter& filter, const AttributeSource& event) {
  const auto child_holds = [&](const Filter& child) { return Holds(child, event); };
  switch (filter.kind) {
    case Filter::Kind::kExact:
      return AllAttributes(filter, event, [](auto value, auto want) { return value == want; });
    case Filter::Kind::kPrefix:
      return AllAttributes(filter, event,
                           [](auto value, auto want) { return value.starts_with(want); });
    case Filter::Kind::kSuffix:
      return AllAttributes(filter, event,
                           [](auto value, auto want) { return value.ends_with(want); });
    case Filter::Kind::kAll:
      return std::all_of(filter.children.begin(), filter.children.end(), child_holds);
    case Filter::Kind::kAny:
      return std::any_of(filter.children.begin(), filter.children.end(), child_holds);
    case Filter::Kind::kNot: return !Holds(filter.children.front(), event);
  }
  return false;
}

}  // namespace penstock::broker
