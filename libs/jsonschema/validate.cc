#include "libs/jsonschema/validate.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <string>
#include <string_view>
#include <utility>

#include "libs/jsonschema/json_equal.h"
#include "libs/jsonschema/pointer.h"

namespace penstock::jsonschema {
namespace {

namespace json = boost::json;

std::uint8_t TypesOf(const json::value& value) {
  switch (value.kind()) {
    case json::kind::null: return kNullBit;
    case json::kind::bool_: return kBooleanBit;
    case json::kind::string: return kStringBit;
    case json::kind::array: return kArrayBit;
    case json::kind::object: return kObjectBit;
    default: return static_cast<std::uint8_t>(kNumberBit | (IsInteger(value) ? kIntegerBit : 0));
  }
}

std::string TypeNames(std::uint8_t types) {
  constexpr std::pair<std::uint8_t, const char*> kNames[] = {
      {kNullBit, "null"},       {kBooleanBit, "true or false"}, {kIntegerBit, "an integer"},
      {kNumberBit, "a number"}, {kStringBit, "a text"},         {kArrayBit, "a list"},
      {kObjectBit, "an object"}};
  std::string names;
  for (const auto& [bit, name] : kNames) {
    if ((types & bit) == 0) continue;
    if (!names.empty()) names += " or ";
    names += name;
  }
  return names;
}

std::size_t CodePoints(std::string_view text) {
  return static_cast<std::size_t>(std::count_if(text.begin(), text.end(), [](char c) {
    return (static_cast<unsigned char>(c) & 0xC0) != 0x80;
  }));
}

bool IsMultiple(long double number, long double of) {
  const long double times = number / of;
  if (!std::isfinite(times)) return std::fmod(number, of) == 0;
  // 0.3 is no exact multiple of 0.1 in binary.
  return std::fabs(times - std::round(times)) <= 1e-12L * std::max(1.0L, std::fabs(times));
}

std::string Shown(long double number) { return fmt::format("{}", static_cast<double>(number)); }

re2::StringPiece Piece(std::string_view text) { return {text.data(), text.size()}; }

class Run {
 public:
  Run(const Nodes& nodes, const Limits& limits) : nodes_(nodes), limits_(limits) {}

  absl::StatusOr<std::vector<Violation>> Validate(const json::value& value) {
    Check(0, value);
    if (steps_ > limits_.steps_max) {
      return absl::ResourceExhaustedError(
          fmt::format("validation took more than {} steps", limits_.steps_max));
    }
    return std::move(violations_);
  }

 private:
  // A part of the value: a member's name, or an index.
  struct Part {
    std::string_view name;
    std::size_t index = 0;
    bool is_index = false;
  };

  bool IsOver() {
    return ++steps_ > limits_.steps_max ||
           (quiet_ == 0 && violations_.size() >= limits_.violations_max);
  }

  // Always false.
  bool Fail(std::string_view keyword, std::string message) {
    if (quiet_ > 0 || violations_.size() >= limits_.violations_max) return false;
    Violation violation;
    for (const Part& part : path_) {
      violation.path += part.is_index ? fmt::format("/{}", part.index) : PointerTo(part.name);
    }
    violation.keyword = keyword;
    violation.message = std::move(message);
    violations_.push_back(std::move(violation));
    return false;
  }

  // Whether the value is valid; what is not is told, unless it is quiet. Goes on after a violation
  // where it is told.
  bool Check(NodeId id, const json::value& value) {
    if (id == kNone) return true;
    if (IsOver()) return false;
    const Node& node = nodes_.all[static_cast<std::size_t>(id)];
    if (node.fails) return Fail("false", "nothing is allowed here");
    const std::uint8_t types = TypesOf(value);
    if (node.types != 0 && (node.types & types) == 0) {
      return Fail("type", fmt::format("expected {}", TypeNames(node.types)));
    }
    bool valid = Check(node.ref, value);
    const auto go_on = [&] { return valid || quiet_ == 0; };
    if (go_on()) valid &= CheckValues(node, value);
    if (go_on() && (types & kNumberBit) != 0) valid &= CheckNumber(node, NumberOf(value));
    if (go_on() && (types & kStringBit) != 0) valid &= CheckString(node, value.get_string());
    if (go_on() && (types & kArrayBit) != 0) valid &= CheckArray(node, value.get_array());
    if (go_on() && (types & kObjectBit) != 0) valid &= CheckObject(node, value);
    if (go_on()) valid &= CheckLogic(node, value);
    return valid;
  }

  bool CheckBelow(NodeId id, const json::value& value, Part part) {
    if (id == kNone) return true;
    path_.push_back(part);
    const bool valid = Check(id, value);
    path_.pop_back();
    return valid;
  }

  // Without telling why not.
  bool Meets(NodeId id, const json::value& value) {
    ++quiet_;
    const bool valid = Check(id, value);
    --quiet_;
    return valid;
  }

  bool CheckValues(const Node& node, const json::value& value) {
    bool valid = true;
    if (node.constant && !AreEqual(*node.constant, value)) {
      valid = Fail("const", "expected the one value that is allowed here");
    }
    if (node.values) {
      steps_ += node.values->size();
      const bool found =
          std::any_of(node.values->begin(), node.values->end(),
                      [&](const json::value& allowed) { return AreEqual(allowed, value); });
      if (!found) {
        valid = Fail("enum", fmt::format("expected one of the {} values that are allowed here",
                                         node.values->size()));
      }
    }
    return valid;
  }

  bool CheckNumber(const Node& node, long double number) {
    bool valid = true;
    if (node.minimum && number < *node.minimum) {
      valid = Fail("minimum", fmt::format("expected at least {}", Shown(*node.minimum)));
    }
    if (node.maximum && number > *node.maximum) {
      valid = Fail("maximum", fmt::format("expected at most {}", Shown(*node.maximum)));
    }
    if (node.above && number <= *node.above) {
      valid = Fail("exclusiveMinimum", fmt::format("expected more than {}", Shown(*node.above)));
    }
    if (node.below && number >= *node.below) {
      valid = Fail("exclusiveMaximum", fmt::format("expected less than {}", Shown(*node.below)));
    }
    if (node.multiple_of && !IsMultiple(number, *node.multiple_of)) {
      valid =
          Fail("multipleOf", fmt::format("expected a multiple of {}", Shown(*node.multiple_of)));
    }
    return valid;
  }

  bool CheckString(const Node& node, const json::string& string) {
    const std::string_view text(string.data(), string.size());
    bool valid = true;
    if (node.length_min || node.length_max) {
      const std::size_t length = CodePoints(text);
      if (node.length_min && length < *node.length_min) {
        valid = Fail("minLength", fmt::format("expected at least {} characters", *node.length_min));
      }
      if (node.length_max && length > *node.length_max) {
        valid = Fail("maxLength", fmt::format("expected at most {} characters", *node.length_max));
      }
    }
    if (node.pattern && !RE2::PartialMatch(Piece(text), *node.pattern)) {
      valid = Fail("pattern", fmt::format("expected a match of {}", node.pattern->pattern()));
    }
    if (node.format != nullptr && !node.format->holds(text)) {
      valid = Fail("format", fmt::format("expected the format {}", node.format->name));
    }
    return valid;
  }

  bool CheckArray(const Node& node, const json::array& array) {
    bool valid = true;
    if (node.items_min && array.size() < *node.items_min) {
      valid = Fail("minItems", fmt::format("expected at least {} items", *node.items_min));
    }
    if (node.items_max && array.size() > *node.items_max) {
      valid = Fail("maxItems", fmt::format("expected at most {} items", *node.items_max));
    }
    for (std::size_t i = 0; i < array.size() && (valid || quiet_ == 0); ++i) {
      const NodeId id = i < node.prefix_items.size() ? node.prefix_items[i] : node.items;
      valid &= CheckBelow(id, array[i], {"", i, true});
    }
    if (node.unique && !IsUnique(array)) valid = Fail("uniqueItems", "expected no item twice");
    return CheckContains(node, array) && valid;
  }

  bool CheckContains(const Node& node, const json::array& array) {
    if (node.contains == kNone) return true;
    std::size_t count = 0;
    for (const json::value& item : array) count += Meets(node.contains, item) ? 1 : 0;
    if (count < node.contains_min) {
      return Fail("contains", fmt::format("expected at least {} items of a kind that {} have",
                                          node.contains_min, count));
    }
    if (node.contains_max && count > *node.contains_max) {
      return Fail("maxContains", fmt::format("expected at most {} items of a kind that {} have",
                                             *node.contains_max, count));
    }
    return true;
  }

  bool IsUnique(const json::array& array) {
    steps_ += array.size();
    std::vector<std::pair<std::size_t, const json::value*>> hashed;
    hashed.reserve(array.size());
    for (const json::value& item : array) hashed.emplace_back(HashOf(item), &item);
    std::sort(hashed.begin(), hashed.end());
    for (std::size_t i = 0; i < hashed.size(); ++i) {
      for (std::size_t j = i + 1; j < hashed.size() && hashed[i].first == hashed[j].first; ++j) {
        if (++steps_ > limits_.steps_max || AreEqual(*hashed[i].second, *hashed[j].second)) {
          return false;
        }
      }
    }
    return true;
  }

  bool CheckObject(const Node& node, const json::value& value) {
    const json::object& object = value.get_object();
    bool valid = CheckPresence(node, object);
    for (const json::key_value_pair& member : object) {
      if (!valid && quiet_ > 0) return false;
      valid &= CheckMember(node, member);
    }
    for (const auto& [name, id] : node.dependent_schemas) {
      if (object.contains(name)) valid &= Check(id, value);
    }
    return valid;
  }

  bool CheckPresence(const Node& node, const json::object& object) {
    bool valid = true;
    for (const std::string& name : node.required) {
      if (!object.contains(name)) valid = Fail("required", fmt::format("\"{}\" is missing", name));
    }
    for (const auto& [name, needed] : node.dependent_required) {
      if (!object.contains(name)) continue;
      for (const std::string& other : needed) {
        if (object.contains(other)) continue;
        valid = Fail("dependentRequired",
                     fmt::format("\"{}\" is missing, which \"{}\" needs", other, name));
      }
    }
    if (node.properties_min && object.size() < *node.properties_min) {
      valid =
          Fail("minProperties", fmt::format("expected at least {} members", *node.properties_min));
    }
    if (node.properties_max && object.size() > *node.properties_max) {
      valid =
          Fail("maxProperties", fmt::format("expected at most {} members", *node.properties_max));
    }
    return valid;
  }

  bool CheckMember(const Node& node, const json::key_value_pair& member) {
    const std::string_view name(member.key().data(), member.key().size());
    bool valid = true;
    bool is_known = false;
    if (const auto found = node.properties.find(absl::string_view(name.data(), name.size()));
        found != node.properties.end()) {
      is_known = true;
      valid &= CheckBelow(found->second, member.value(), {name});
    }
    for (const Pattern& pattern : node.patterns) {
      if (!RE2::PartialMatch(Piece(name), *pattern.expression)) continue;
      is_known = true;
      valid &= CheckBelow(pattern.node, member.value(), {name});
    }
    if (!is_known) valid &= CheckBelow(node.other_properties, member.value(), {name});
    if (node.names != kNone && !Meets(node.names, json::value(json::string(name)))) {
      valid = Fail("propertyNames", fmt::format("the name \"{}\" is not allowed", name));
    }
    return valid;
  }

  bool CheckLogic(const Node& node, const json::value& value) {
    bool valid = true;
    for (const NodeId one : node.all_of) {
      valid &= Check(one, value);
      if (!valid && quiet_ > 0) return false;
    }
    if (!node.any_of.empty() && std::none_of(node.any_of.begin(), node.any_of.end(),
                                             [&](NodeId one) { return Meets(one, value); })) {
      valid = FailAlternatives("anyOf", node.any_of, value);
    }
    if (!node.one_of.empty()) {
      const auto count = std::count_if(node.one_of.begin(), node.one_of.end(),
                                       [&](NodeId one) { return Meets(one, value); });
      if (count == 0) valid = FailAlternatives("oneOf", node.one_of, value);
      if (count > 1) valid = Fail("oneOf", fmt::format("meets {} alternatives, not one", count));
    }
    if (node.negated != kNone && Meets(node.negated, value)) {
      valid = Fail("not", "is what is not allowed here");
    }
    if (node.condition != kNone) {
      valid &= Check(Meets(node.condition, value) ? node.then : node.otherwise, value);
    }
    return valid;
  }

  // One alternative says itself what is wrong.
  bool FailAlternatives(std::string_view keyword, const std::vector<NodeId>& alternatives,
                        const json::value& value) {
    if (alternatives.size() == 1) return Check(alternatives.front(), value);
    return Fail(keyword, fmt::format("meets none of {} alternatives", alternatives.size()));
  }

  const Nodes& nodes_;
  const Limits& limits_;
  std::size_t steps_ = 0;
  int quiet_ = 0;
  std::vector<Part> path_;
  std::vector<Violation> violations_;
};

}  // namespace

absl::StatusOr<std::vector<Violation>> ValidateNodes(const Nodes& nodes, const json::value& value,
                                                     const Limits& limits) {
  return Run(nodes, limits).Validate(value);
}

}  // namespace penstock::jsonschema
