#include "libs/jsonschema/references.h"

#include <fmt/format.h>

#include <algorithm>
#include <boost/json/value.hpp>
#include <cstdint>
#include <vector>

#include "libs/jsonschema/pointer.h"

namespace penstock::jsonschema {

namespace json = boost::json;

std::string_view NamedSchemas::Add(const json::object& schema, const std::string& pointer,
                                   Scope& scope) {
  const auto text_of = [](const json::value& value) {
    return std::string_view(value.get_string().data(), value.get_string().size());
  };
  if (const json::value* const given = schema.if_contains("$id")) {
    if (!given->is_string()) return "$id";
    const std::string_view text = text_of(*given);
    const std::size_t hash = std::min(text.find('#'), text.size());
    if (hash > 0) {
      scope = {pointer, std::string(text.substr(0, hash))};
      ids_.emplace(scope.id, pointer);
    }
    // Up to draft 7 a fragment in `$id` is an anchor.
    if (hash + 1 < text.size()) {
      anchors_.emplace(std::pair(scope.root, std::string(text.substr(hash + 1))), pointer);
    }
  }
  for (const std::string_view key : {"$anchor", "$dynamicAnchor"}) {
    const json::value* const given = schema.if_contains(key);
    if (given == nullptr) continue;
    if (!given->is_string()) return key;
    anchors_.emplace(std::pair(scope.root, std::string(text_of(*given))), pointer);
  }
  return {};
}

absl::StatusOr<std::string> NamedSchemas::Locate(std::string_view target,
                                                 const Scope& scope) const {
  const std::size_t hash = std::min(target.find('#'), target.size());
  const std::string id(target.substr(0, hash));
  std::string root = scope.root;
  if (!id.empty() && id != scope.id) {
    const auto found = ids_.find(id);
    if (found == ids_.end()) {
      return absl::NotFoundError(fmt::format(
          "\"{}\" is not in this document; references to others are not supported", id));
    }
    root = found->second;
  }
  const auto fragment = FromFragment(target.substr(std::min(hash + 1, target.size())));
  if (!fragment) return absl::NotFoundError("the fragment is malformed");
  if (fragment->empty() || fragment->front() == '/') return root + *fragment;
  const auto found = anchors_.find(std::pair(root, *fragment));
  if (found == anchors_.end()) {
    return absl::NotFoundError(fmt::format("there is no anchor \"{}\"", *fragment));
  }
  return found->second;
}

namespace {

// Subschemas that look at the same value.
std::vector<NodeId> InPlace(const Node& node) {
  std::vector<NodeId> all;
  for (const NodeId one : {node.ref, node.negated, node.condition, node.then, node.otherwise}) {
    if (one != kNone) all.push_back(one);
  }
  for (const auto* list : {&node.all_of, &node.any_of, &node.one_of}) {
    all.insert(all.end(), list->begin(), list->end());
  }
  for (const auto& [name, one] : node.dependent_schemas) all.push_back(one);
  return all;
}

}  // namespace

NodeId FindCircle(const Nodes& nodes) {
  enum class Mark : std::uint8_t { kNew, kOpen, kDone };
  struct Frame {
    NodeId id;
    std::vector<NodeId> next;
  };
  std::vector<Mark> marks(nodes.all.size(), Mark::kNew);
  std::vector<Frame> stack;
  const auto open = [&](NodeId id) {
    marks[static_cast<std::size_t>(id)] = Mark::kOpen;
    stack.push_back({id, InPlace(nodes.all[static_cast<std::size_t>(id)])});
  };
  for (std::size_t i = 0; i < marks.size(); ++i) {
    if (marks[i] == Mark::kNew) open(static_cast<NodeId>(i));
    while (!stack.empty()) {
      if (stack.back().next.empty()) {
        marks[static_cast<std::size_t>(stack.back().id)] = Mark::kDone;
        stack.pop_back();
        continue;
      }
      const NodeId next = stack.back().next.back();
      stack.back().next.pop_back();
      const Mark mark = marks[static_cast<std::size_t>(next)];
      if (mark == Mark::kOpen) return next;
      if (mark == Mark::kNew) open(next);
    }
  }
  return kNone;
}

}  // namespace penstock::jsonschema
