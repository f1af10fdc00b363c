#include "libs/jsonschema/compile.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <string>
#include <utility>

#include "libs/base/status.h"
#include "libs/jsonschema/json_equal.h"
#include "libs/jsonschema/pointer.h"
#include "libs/jsonschema/references.h"

namespace penstock::jsonschema {
namespace {

namespace json = boost::json;

// A pattern's compiled form takes at most so much memory.
constexpr std::int64_t kPatternBytesMax = 1 << 20;

constexpr std::pair<std::string_view, std::uint8_t> kTypes[] = {
    {"null", kNullBit},     {"boolean", kBooleanBit}, {"integer", kIntegerBit},
    {"number", kNumberBit}, {"string", kStringBit},   {"array", kArrayBit},
    {"object", kObjectBit},
};

constexpr std::string_view kUnsupported[] = {"unevaluatedItems", "unevaluatedProperties",
                                             "$dynamicRef", "$recursiveRef"};

// Of `$schema`, and whether `$ref` replaces what stands beside it.
constexpr std::pair<std::string_view, bool> kDrafts[] = {
    {"json-schema.org/draft-06/schema", true},
    {"json-schema.org/draft-07/schema", true},
    {"json-schema.org/draft/2019-09/schema", false},
    {"json-schema.org/draft/2020-12/schema", false},
};

std::string_view View(const json::string& text) { return {text.data(), text.size()}; }
std::string_view ToView(absl::string_view text) { return {text.data(), text.size()}; }

class Compiler {
 public:
  Compiler(const json::value& document, std::string_view field, const Limits& limits)
      : document_(document), field_(field), limits_(limits) {}

  absl::StatusOr<std::unique_ptr<const Nodes>> Run() {
    RETURN_IF_ERROR(ReadDraft());
    RETURN_IF_ERROR(At(document_, "", Scope{}, 0).status());
    RETURN_IF_ERROR(ResolveAll());
    if (const NodeId circle = FindCircle(*nodes_); circle != kNone) {
      return Wrong(PointerOf(circle), "", "references lead back here without going into the value");
    }
    return std::unique_ptr<const Nodes>(std::move(nodes_));
  }

 private:
  struct Reference {
    NodeId from;
    std::string target;
    std::string pointer;  // Of the `$ref` itself.
    Scope scope;
    std::size_t depth;
  };

  absl::Status Wrong(std::string_view pointer, std::string_view keyword,
                     std::string_view expected) const {
    std::string at(pointer);
    if (!keyword.empty()) at += PointerTo(keyword);
    return FieldError(field_,
                      at.empty() ? std::string(expected) : fmt::format("at {}: {}", at, expected));
  }

  absl::Status ReadDraft() {
    const json::object* const object = document_.if_object();
    const json::value* const given = object == nullptr ? nullptr : object->if_contains("$schema");
    if (given == nullptr) return absl::OkStatus();
    std::string_view name = given->is_string() ? View(given->get_string()) : std::string_view();
    for (const std::string_view scheme : {"http://", "https://"}) {
      if (name.starts_with(scheme)) name.remove_prefix(scheme.size());
    }
    if (name.ends_with('#')) name.remove_suffix(1);
    for (const auto& [draft, replaces] : kDrafts) {
      if (name != draft) continue;
      ref_replaces_ = replaces;
      return absl::OkStatus();
    }
    return Wrong("", "$schema", "expected draft 6, 7, 2019-09 or 2020-12 of JSON Schema");
  }

  // The node of the schema at `pointer`; made when it is first asked for.
  absl::StatusOr<NodeId> At(const json::value& schema, const std::string& pointer, Scope scope,
                            std::size_t depth) {
    if (const auto known = made_.find(pointer); known != made_.end()) return known->second;
    if (depth > limits_.depth_max) {
      return Wrong(pointer, "", fmt::format("more than {} levels deep", limits_.depth_max));
    }
    if (nodes_->all.size() >= limits_.nodes_max) {
      return Wrong("", "", fmt::format("more than {} subschemas", limits_.nodes_max));
    }
    const auto id = static_cast<NodeId>(nodes_->all.size());
    nodes_->all.emplace_back();
    made_.emplace(pointer, id);
    if (schema.is_bool()) {
      nodes_->all[static_cast<std::size_t>(id)].fails = !schema.get_bool();
      return id;
    }
    const json::object* const object = schema.if_object();
    if (object == nullptr) return Wrong(pointer, "", "expected a schema: an object, true or false");
    // Filled apart: making subschemas moves the nodes.
    Node node;
    RETURN_IF_ERROR(Fill(*object, pointer, std::move(scope), depth, id, node));
    nodes_->all[static_cast<std::size_t>(id)] = std::move(node);
    return id;
  }

  absl::Status Fill(const json::object& schema, const std::string& pointer, Scope scope,
                    std::size_t depth, NodeId id, Node& node) {
    const json::value* const ref = schema.if_contains("$ref");
    if (ref != nullptr && !ref->is_string()) return Wrong(pointer, "$ref", "expected a text");
    const bool only_ref = ref != nullptr && ref_replaces_;
    if (!only_ref) {
      if (const std::string_view keyword = names_.Add(schema, pointer, scope); !keyword.empty()) {
        return Wrong(pointer, keyword, "expected a text");
      }
    }
    if (ref != nullptr) {
      references_.push_back(
          {id, std::string(View(ref->get_string())), pointer + "/$ref", scope, depth});
    }
    // What references may name.
    for (const std::string_view key : {"$defs", "definitions"}) {
      std::vector<std::pair<std::string, NodeId>> unused;
      RETURN_IF_ERROR(ReadMap(schema, key, pointer, scope, depth, unused));
    }
    if (only_ref) return absl::OkStatus();
    for (const std::string_view keyword : kUnsupported) {
      if (schema.contains(keyword)) return Wrong(pointer, keyword, "is not supported");
    }
    RETURN_IF_ERROR(ReadAnyType(schema, pointer, node));
    RETURN_IF_ERROR(ReadNumbers(schema, pointer, node));
    RETURN_IF_ERROR(ReadStrings(schema, pointer, node));
    RETURN_IF_ERROR(ReadArrays(schema, pointer, scope, depth, node));
    RETURN_IF_ERROR(ReadObjects(schema, pointer, scope, depth, node));
    return ReadLogic(schema, pointer, scope, depth, node);
  }

  absl::Status ReadAnyType(const json::object& schema, const std::string& pointer, Node& node) {
    if (const json::value* const type = schema.if_contains("type")) {
      const auto add = [&](const json::value& name) {
        for (const auto& [known, bit] : kTypes) {
          if (name.is_string() && View(name.get_string()) == known) {
            node.types |= bit;
            return true;
          }
        }
        return false;
      };
      const json::array* const list = type->if_array();
      const bool good = list == nullptr
                            ? add(*type)
                            : !list->empty() && std::all_of(list->begin(), list->end(), add);
      if (!good) {
        return Wrong(pointer, "type",
                     "expected null, boolean, integer, number, string, array or object, or a list");
      }
    }
    if (const json::value* const values = schema.if_contains("enum")) {
      if (!values->is_array()) return Wrong(pointer, "enum", "expected a list of values");
      node.values.emplace(values->get_array().begin(), values->get_array().end());
    }
    if (const json::value* const constant = schema.if_contains("const")) node.constant = *constant;
    return absl::OkStatus();
  }

  absl::Status ReadNumber(const json::object& schema, std::string_view keyword,
                          const std::string& pointer, std::optional<long double>& number) {
    const json::value* const given = schema.if_contains(keyword);
    if (given == nullptr) return absl::OkStatus();
    if (!given->is_number()) return Wrong(pointer, keyword, "expected a number");
    number = NumberOf(*given);
    return absl::OkStatus();
  }

  absl::Status ReadNumbers(const json::object& schema, const std::string& pointer, Node& node) {
    RETURN_IF_ERROR(ReadNumber(schema, "minimum", pointer, node.minimum));
    RETURN_IF_ERROR(ReadNumber(schema, "maximum", pointer, node.maximum));
    RETURN_IF_ERROR(ReadNumber(schema, "exclusiveMinimum", pointer, node.above));
    RETURN_IF_ERROR(ReadNumber(schema, "exclusiveMaximum", pointer, node.below));
    RETURN_IF_ERROR(ReadNumber(schema, "multipleOf", pointer, node.multiple_of));
    if (node.multiple_of && *node.multiple_of <= 0) {
      return Wrong(pointer, "multipleOf", "expected a number above 0");
    }
    return absl::OkStatus();
  }

  absl::Status ReadCount(const json::object& schema, std::string_view keyword,
                         const std::string& pointer, std::optional<std::size_t>& count) {
    const json::value* const given = schema.if_contains(keyword);
    if (given == nullptr) return absl::OkStatus();
    const bool good = given->is_number() && IsInteger(*given) && NumberOf(*given) >= 0 &&
                      NumberOf(*given) <= 1e18L;
    if (!good) return Wrong(pointer, keyword, "expected a whole number, 0 or more");
    count = static_cast<std::size_t>(NumberOf(*given));
    return absl::OkStatus();
  }

  absl::StatusOr<std::unique_ptr<RE2>> Expression(std::string_view text,
                                                  const std::string& pointer) const {
    RE2::Options options;
    options.set_log_errors(false);
    options.set_max_mem(kPatternBytesMax);
    auto expression = std::make_unique<RE2>(re2::StringPiece(text.data(), text.size()), options);
    if (!expression->ok()) {
      return Wrong(
          pointer, "",
          fmt::format("expected a regular expression of RE2's syntax: {}", expression->error()));
    }
    return expression;
  }

  absl::Status ReadStrings(const json::object& schema, const std::string& pointer, Node& node) {
    RETURN_IF_ERROR(ReadCount(schema, "minLength", pointer, node.length_min));
    RETURN_IF_ERROR(ReadCount(schema, "maxLength", pointer, node.length_max));
    if (const json::value* const given = schema.if_contains("pattern")) {
      if (!given->is_string()) return Wrong(pointer, "pattern", "expected a text");
      ASSIGN_OR_RETURN(node.pattern, Expression(View(given->get_string()), pointer + "/pattern"));
    }
    if (const json::value* const given = schema.if_contains("format")) {
      if (!given->is_string()) return Wrong(pointer, "format", "expected a text");
      node.format = FindFormat(View(given->get_string()));
    }
    return absl::OkStatus();
  }

  absl::Status ReadOne(const json::object& schema, std::string_view keyword,
                       const std::string& pointer, const Scope& scope, std::size_t depth,
                       NodeId& node) {
    const json::value* const given = schema.if_contains(keyword);
    if (given == nullptr) return absl::OkStatus();
    ASSIGN_OR_RETURN(node, At(*given, pointer + PointerTo(keyword), scope, depth + 1));
    return absl::OkStatus();
  }

  absl::Status ReadList(const json::object& schema, std::string_view keyword,
                        const std::string& pointer, const Scope& scope, std::size_t depth,
                        std::vector<NodeId>& nodes) {
    const json::value* const given = schema.if_contains(keyword);
    if (given == nullptr) return absl::OkStatus();
    if (!given->is_array()) return Wrong(pointer, keyword, "expected a list of schemas");
    const std::string below = pointer + PointerTo(keyword);
    for (std::size_t i = 0; i < given->get_array().size(); ++i) {
      ASSIGN_OR_RETURN(nodes.emplace_back(),
                       At(given->get_array()[i], fmt::format("{}/{}", below, i), scope, depth + 1));
    }
    return absl::OkStatus();
  }

  absl::Status ReadMap(const json::object& schema, std::string_view keyword,
                       const std::string& pointer, const Scope& scope, std::size_t depth,
                       std::vector<std::pair<std::string, NodeId>>& nodes) {
    const json::value* const given = schema.if_contains(keyword);
    if (given == nullptr) return absl::OkStatus();
    if (!given->is_object()) return Wrong(pointer, keyword, "expected schemas by name");
    for (const json::key_value_pair& member : given->get_object()) {
      const std::string_view name(member.key().data(), member.key().size());
      ASSIGN_OR_RETURN(
          const NodeId node,
          At(member.value(), pointer + PointerTo(keyword) + PointerTo(name), scope, depth + 1));
      nodes.emplace_back(name, node);
    }
    return absl::OkStatus();
  }

  absl::Status ReadArrays(const json::object& schema, const std::string& pointer,
                          const Scope& scope, std::size_t depth, Node& node) {
    RETURN_IF_ERROR(ReadCount(schema, "minItems", pointer, node.items_min));
    RETURN_IF_ERROR(ReadCount(schema, "maxItems", pointer, node.items_max));
    RETURN_IF_ERROR(ReadCount(schema, "maxContains", pointer, node.contains_max));
    std::optional<std::size_t> contains_min;
    RETURN_IF_ERROR(ReadCount(schema, "minContains", pointer, contains_min));
    node.contains_min = contains_min.value_or(1);
    if (const json::value* const given = schema.if_contains("uniqueItems")) {
      if (!given->is_bool()) return Wrong(pointer, "uniqueItems", "expected true or false");
      node.unique = given->get_bool();
    }
    RETURN_IF_ERROR(ReadOne(schema, "contains", pointer, scope, depth, node.contains));
    // Before 2020-12 a list stands under `items`, and the rest under `additionalItems`.
    const json::value* const items = schema.if_contains("items");
    if (items == nullptr || !items->is_array()) {
      RETURN_IF_ERROR(ReadList(schema, "prefixItems", pointer, scope, depth, node.prefix_items));
      return ReadOne(schema, "items", pointer, scope, depth, node.items);
    }
    RETURN_IF_ERROR(ReadList(schema, "items", pointer, scope, depth, node.prefix_items));
    return ReadOne(schema, "additionalItems", pointer, scope, depth, node.items);
  }

  absl::StatusOr<std::vector<std::string>> Names(const json::value& given, std::string_view keyword,
                                                 const std::string& pointer) const {
    std::vector<std::string> names;
    bool good = given.is_array();
    if (good) {
      for (const json::value& name : given.get_array()) {
        good &= name.is_string();
        if (good) names.emplace_back(View(name.get_string()));
      }
    }
    if (!good) return Wrong(pointer, keyword, "expected a list of names");
    return names;
  }

  absl::Status ReadObjects(const json::object& schema, const std::string& pointer,
                           const Scope& scope, std::size_t depth, Node& node) {
    RETURN_IF_ERROR(ReadCount(schema, "minProperties", pointer, node.properties_min));
    RETURN_IF_ERROR(ReadCount(schema, "maxProperties", pointer, node.properties_max));
    std::vector<std::pair<std::string, NodeId>> properties;
    RETURN_IF_ERROR(ReadMap(schema, "properties", pointer, scope, depth, properties));
    node.properties.insert(properties.begin(), properties.end());
    std::vector<std::pair<std::string, NodeId>> patterns;
    RETURN_IF_ERROR(ReadMap(schema, "patternProperties", pointer, scope, depth, patterns));
    for (const auto& [text, id] : patterns) {
      ASSIGN_OR_RETURN(auto expression,
                       Expression(text, pointer + "/patternProperties" + PointerTo(text)));
      node.patterns.push_back({std::move(expression), id});
    }
    RETURN_IF_ERROR(
        ReadOne(schema, "additionalProperties", pointer, scope, depth, node.other_properties));
    RETURN_IF_ERROR(ReadOne(schema, "propertyNames", pointer, scope, depth, node.names));
    if (const json::value* const given = schema.if_contains("required")) {
      ASSIGN_OR_RETURN(node.required, Names(*given, "required", pointer));
    }
    RETURN_IF_ERROR(
        ReadMap(schema, "dependentSchemas", pointer, scope, depth, node.dependent_schemas));
    return ReadDependencies(schema, pointer, scope, depth, node);
  }

  absl::Status ReadDependencies(const json::object& schema, const std::string& pointer,
                                const Scope& scope, std::size_t depth, Node& node) {
    for (const std::string_view keyword : {"dependentRequired", "dependencies"}) {
      const json::value* const given = schema.if_contains(keyword);
      if (given == nullptr) continue;
      if (!given->is_object()) return Wrong(pointer, keyword, "expected lists of names by name");
      const std::string below = pointer + PointerTo(keyword);
      for (const json::key_value_pair& member : given->get_object()) {
        const std::string name(member.key());
        // Up to draft 7 either form.
        if (keyword == "dependencies" && !member.value().is_array()) {
          ASSIGN_OR_RETURN(const NodeId id,
                           At(member.value(), below + PointerTo(name), scope, depth + 1));
          node.dependent_schemas.emplace_back(name, id);
          continue;
        }
        ASSIGN_OR_RETURN(auto names, Names(member.value(), name, below));
        node.dependent_required.emplace_back(name, std::move(names));
      }
    }
    return absl::OkStatus();
  }

  absl::Status ReadLogic(const json::object& schema, const std::string& pointer, const Scope& scope,
                         std::size_t depth, Node& node) {
    RETURN_IF_ERROR(ReadList(schema, "allOf", pointer, scope, depth, node.all_of));
    RETURN_IF_ERROR(ReadList(schema, "anyOf", pointer, scope, depth, node.any_of));
    RETURN_IF_ERROR(ReadList(schema, "oneOf", pointer, scope, depth, node.one_of));
    RETURN_IF_ERROR(ReadOne(schema, "not", pointer, scope, depth, node.negated));
    RETURN_IF_ERROR(ReadOne(schema, "if", pointer, scope, depth, node.condition));
    RETURN_IF_ERROR(ReadOne(schema, "then", pointer, scope, depth, node.then));
    return ReadOne(schema, "else", pointer, scope, depth, node.otherwise);
  }

  // What a reference leads to may hold further references.
  absl::Status ResolveAll() {
    for (std::size_t i = 0; i < references_.size(); ++i) {
      const Reference reference = references_[i];
      ASSIGN_OR_RETURN(const NodeId to, Resolve(reference));
      nodes_->all[static_cast<std::size_t>(reference.from)].ref = to;
    }
    return absl::OkStatus();
  }

  absl::StatusOr<NodeId> Resolve(const Reference& reference) {
    const auto pointer = names_.Locate(reference.target, reference.scope);
    if (!pointer.ok()) return Wrong(reference.pointer, "", ToView(pointer.status().message()));
    const json::value* const schema = Find(document_, *pointer);
    if (schema == nullptr) {
      return Wrong(reference.pointer, "", fmt::format("\"{}\" leads to nothing", reference.target));
    }
    return At(*schema, *pointer, reference.scope, reference.depth + 1);
  }

  std::string PointerOf(NodeId id) const {
    for (const auto& [pointer, made] : made_) {
      if (made == id) return pointer;
    }
    return "";
  }

  const json::value& document_;
  const std::string_view field_;
  const Limits& limits_;
  std::unique_ptr<Nodes> nodes_ = std::make_unique<Nodes>();
  bool ref_replaces_ = false;
  std::map<std::string, NodeId> made_;  // By pointer.
  std::vector<Reference> references_;
  NamedSchemas names_;
};

}  // namespace

absl::StatusOr<std::unique_ptr<const Nodes>> CompileNodes(const json::value& document,
                                                          std::string_view field,
                                                          const Limits& limits) {
  return Compiler(document, field, limits).Run();
}

}  // namespace penstock::jsonschema
