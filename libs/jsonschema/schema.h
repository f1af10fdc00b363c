// JSON Schema: https://json-schema.org/draft/2020-12, and the earlier drafts 6, 7 and 2019-09.
#pragma once

#include <boost/json/value.hpp>
#include <cstddef>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"

namespace penstock::jsonschema {

struct Violation {
  // Where in the value, as a JSON pointer (RFC 6901); empty for the whole value.
  std::string path;
  // The keyword that is not met: "type", "required", …; "false" for a schema that allows nothing.
  std::string keyword;
  // What was expected, in words. Quotes no value: values may be secret.
  std::string message;
};

struct Limits {
  // Subschemas of one schema.
  std::size_t nodes_max = 10'000;
  // Levels of subschemas inside each other.
  std::size_t depth_max = 64;
  // Keywords evaluated for one value.
  std::size_t steps_max = 1'000'000;
  // Violations told; the rest is not looked for.
  std::size_t violations_max = 8;
};

struct Nodes;

// A compiled schema; immutable and thread-safe.
//
// Supported are all keywords of the drafts' validation and applicator vocabularies but
// `unevaluatedItems` and `unevaluatedProperties`, `$ref` within the document (pointers, anchors and
// `$id`s; beside other keywords it replaces them up to draft 7), `$defs`, and of `format`:
// date-time, date, time, email, hostname, ipv4, ipv6, uri, uuid, regex. Other formats and unknown
// keywords are annotations. Without `$schema` draft 2020-12 counts.
class Schema {
 public:
  // INVALID_ARGUMENT with a violation for `field` and the place in the schema: a keyword of the
  // wrong form or that is not supported, a reference to nothing, to another document or in a circle
  // that consumes nothing, a pattern that RE2 does not take, a schema beyond the limits.
  static absl::StatusOr<std::shared_ptr<const Schema>> Compile(const boost::json::value& document,
                                                               std::string_view field,
                                                               const Limits& limits = {});
  // The same after parsing `text`.
  static absl::StatusOr<std::shared_ptr<const Schema>> Parse(std::string_view text,
                                                             std::string_view field,
                                                             const Limits& limits = {});
  ~Schema();

  // Empty for a valid value. RESOURCE_EXHAUSTED when it takes more than `steps_max`.
  absl::StatusOr<std::vector<Violation>> Validate(const boost::json::value& value) const;

 private:
  Schema(std::unique_ptr<const Nodes> nodes, const Limits& limits);

  const std::unique_ptr<const Nodes> nodes_;
  const Limits limits_;
};

// "/items/3/price: expected a number", one after the other, for an error's text.
std::string Describe(const std::vector<Violation>& violations);

}  // namespace penstock::jsonschema
