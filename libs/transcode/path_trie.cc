#include "libs/transcode/path_trie.h"

namespace penstock::transcode {

struct PathTrie::Search {
  const Segments& segments;
  std::string_view verb;
  std::string_view http_method;
  std::vector<std::string>* allowed;
};

const Route* PathTrie::Add(const PathTemplate& path_template, const Route* route) {
  Node* node = &root_;
  for (const TemplateSegment& segment : path_template.segments) {
    std::unique_ptr<Node>* next = nullptr;
    switch (segment.kind) {
      case TemplateSegment::Kind::kLiteral: next = &node->literals[segment.literal]; break;
      case TemplateSegment::Kind::kSingle: next = &node->single; break;
      case TemplateSegment::Kind::kMulti: next = &node->multi; break;
    }
    if (!*next) *next = std::make_unique<Node>();
    node = next->get();
  }
  const auto [place, added] = node->routes[path_template.verb].emplace(route->http_method, route);
  return added ? nullptr : place->second;
}

const Route* PathTrie::FindAt(const Node& node, Search& search) {
  const auto by_verb = node.routes.find(search.verb);
  if (by_verb == node.routes.end()) return nullptr;
  const auto& by_method = by_verb->second;
  const bool is_head = search.http_method == "HEAD";
  for (const std::string_view method :
       {search.http_method, is_head ? std::string_view("GET") : search.http_method, kAnyMethod}) {
    const auto found = by_method.find(method);
    if (found != by_method.end()) return found->second;
  }
  for (const auto& [method, route] : by_method) search.allowed->push_back(method);
  return nullptr;
}

const Route* PathTrie::FindFrom(const Node& node, std::size_t index, Search& search) {
  if (index == search.segments.size()) {
    if (const Route* route = FindAt(node, search)) return route;
  } else {
    const std::string_view segment = search.segments[index];
    const auto literal = node.literals.find(segment);
    if (literal != node.literals.end()) {
      if (const Route* route = FindFrom(*literal->second, index + 1, search)) return route;
    }
    if (node.single && !segment.empty()) {
      if (const Route* route = FindFrom(*node.single, index + 1, search)) return route;
    }
  }
  return node.multi ? FindAt(*node.multi, search) : nullptr;
}

const Route* PathTrie::Find(const Segments& decoded, std::string_view verb,
                            std::string_view http_method, std::vector<std::string>* allowed) const {
  Search search{decoded, verb, http_method, allowed};
  return FindFrom(root_, 0, search);
}

}  // namespace penstock::transcode
