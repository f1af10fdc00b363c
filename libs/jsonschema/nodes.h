// A compiled schema. Internal to libs/jsonschema.
#pragma once

#include <re2/re2.h>

#include <boost/json/value.hpp>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "libs/jsonschema/formats.h"

namespace penstock::jsonschema {

// Index of a subschema; kNone where there is none.
using NodeId = std::int32_t;
inline constexpr NodeId kNone = -1;

// Types of values, as bits; an integer is a number too.
enum TypeBit : std::uint8_t {
  kNullBit = 1,
  kBooleanBit = 2,
  kIntegerBit = 4,
  kNumberBit = 8,
  kStringBit = 16,
  kArrayBit = 32,
  kObjectBit = 64,
};

struct Pattern {
  std::unique_ptr<RE2> expression;
  NodeId node = kNone;
};

struct Node {
  bool fails = false;  // The schema `false`.
  NodeId ref = kNone;

  std::uint8_t types = 0;                                 // 0: any.
  std::optional<std::vector<boost::json::value>> values;  // `enum`
  std::optional<boost::json::value> constant;

  std::optional<long double> minimum;
  std::optional<long double> maximum;
  std::optional<long double> above;  // exclusiveMinimum
  std::optional<long double> below;  // exclusiveMaximum
  std::optional<long double> multiple_of;

  std::optional<std::size_t> length_min;
  std::optional<std::size_t> length_max;
  std::unique_ptr<RE2> pattern;
  const Format* format = nullptr;

  std::vector<NodeId> prefix_items;
  NodeId items = kNone;
  NodeId contains = kNone;
  std::size_t contains_min = 1;
  std::optional<std::size_t> contains_max;
  std::optional<std::size_t> items_min;
  std::optional<std::size_t> items_max;
  bool unique = false;

  absl::flat_hash_map<std::string, NodeId> properties;
  std::vector<Pattern> patterns;
  NodeId other_properties = kNone;
  NodeId names = kNone;
  std::vector<std::string> required;
  std::optional<std::size_t> properties_min;
  std::optional<std::size_t> properties_max;
  std::vector<std::pair<std::string, std::vector<std::string>>> dependent_required;
  std::vector<std::pair<std::string, NodeId>> dependent_schemas;

  std::vector<NodeId> all_of;
  std::vector<NodeId> any_of;
  std::vector<NodeId> one_of;
  NodeId negated = kNone;
  NodeId condition = kNone;
  NodeId then = kNone;
  NodeId otherwise = kNone;
};

// The first one is the whole schema.
struct Nodes {
  std::vector<Node> all;
};

}  // namespace penstock::jsonschema
