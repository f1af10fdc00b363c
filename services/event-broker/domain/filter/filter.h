// Conditions on an event's attributes, after the CloudEvents Subscriptions API.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/status/status.h"

namespace penstock::broker {

// Gives the string form of an event's attributes, the context attributes included ("id", "type",
// …).
class AttributeSource {
 public:
  virtual ~AttributeSource() = default;
  // The value, or nothing when the event does not have the attribute. Valid as long as the source.
  virtual std::optional<std::string_view> Attribute(std::string_view name) const = 0;
};

// One condition. A plain value.
struct Filter {
  enum class Kind { kExact, kPrefix, kSuffix, kAll, kAny, kNot };

  Kind kind = Kind::kExact;
  std::vector<std::pair<std::string, std::string>>
      attributes;                // kExact, kPrefix, kSuffix: name, value.
  std::vector<Filter> children;  // kAll, kAny: one or more; kNot: one.

  friend bool operator==(const Filter&, const Filter&) = default;
};

// Checks names, values, depth (8) and count (32 over all of `filters`); errors are fields like
// "filters[1].any[0].exact.subject".
absl::Status CheckFilters(const std::vector<Filter>& filters);

// Whether `filter` holds. An attribute that the event does not have matches nothing.
bool Holds(const Filter& filter, const AttributeSource& event);

}  // namespace penstock::broker
