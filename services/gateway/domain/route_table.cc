#include "services/gateway/domain/route_table.h"

#include <algorithm>
#include <cstddef>

namespace penstock::gateway {
namespace {

// More segments than any route can have are not looked at.
constexpr std::size_t kSegmentsMax = 512;

using Segments = std::vector<std::string_view>;

Segments Split(std::string_view path) {
  Segments segments;
  std::size_t begin = 1;
  while (begin <= path.size()) {
    const std::size_t slash = std::min(path.find('/', begin), path.size());
    segments.push_back(path.substr(begin, slash - begin));
    begin = slash + 1;
  }
  return segments;
}

int HexDigit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

// A percent sign that begins no escape stays as it is.
std::string Decode(std::string_view text) {
  std::string decoded;
  decoded.reserve(text.size());
  for (std::size_t i = 0; i < text.size(); ++i) {
    const int high = text[i] == '%' && i + 2 < text.size() ? HexDigit(text[i + 1]) : -1;
    const int low = high < 0 ? -1 : HexDigit(text[i + 2]);
    if (low < 0) {
      decoded += text[i];
    } else {
      decoded += static_cast<char>(high << 4 | low);
      i += 2;
    }
  }
  return decoded;
}

std::string Key(std::string_view method, std::string_view host) {
  std::string key(method);
  key += ' ';
  key += host;
  return key;
}

}  // namespace

struct RouteTable::Node {
  std::map<std::string, std::unique_ptr<Node>, std::less<>> statics;
  std::unique_ptr<Node> parameter;
  // The route that ends here, and the one that takes everything from here on.
  const Route* route = nullptr;
  const Route* rest = nullptr;
};

struct RouteTable::Search {
  Segments segments;              // As sent: where slashes are.
  std::vector<std::string> text;  // Decoded.
  const Route* found = nullptr;
};

RouteTable::RouteTable(std::vector<Route> routes) : routes_(std::move(routes)) {
  for (const Route& route : routes_) {
    auto& root = roots_[Key(route.method, route.host)];
    if (root == nullptr) root = std::make_unique<Node>();
    Add(*root, route);
  }
}

RouteTable::~RouteTable() = default;

void RouteTable::Add(Node& root, const Route& route) {
  Node* node = &root;
  for (const std::string_view segment : Split(route.path)) {
    if (segment.starts_with('*')) {
      if (node->rest == nullptr) node->rest = &route;
      return;
    }
    auto& next = segment.starts_with(':') ? node->parameter : node->statics[Decode(segment)];
    if (next == nullptr) next = std::make_unique<Node>();
    node = next.get();
  }
  if (node->route == nullptr) node->route = &route;
}

bool RouteTable::Find(const Node& node, std::size_t index, Search& search) {
  if (index == search.segments.size()) {
    search.found = node.route;
    return search.found != nullptr;
  }
  const std::string& segment = search.text[index];
  const auto next = node.statics.find(segment);
  if (next != node.statics.end() && Find(*next->second, index + 1, search)) return true;
  if (node.parameter != nullptr && !segment.empty() && Find(*node.parameter, index + 1, search)) {
    return true;
  }
  search.found = node.rest;
  return search.found != nullptr;
}

bool RouteTable::FindIn(std::string_view root, Search& search) const {
  const auto found = roots_.find(root);
  return found != roots_.end() && Find(*found->second, 0, search);
}

RouteMatch RouteTable::Match(std::string_view method, std::string_view host,
                             std::string_view path) const {
  RouteMatch match;
  if (roots_.empty() || !path.starts_with('/')) return match;
  Search search{.segments = Split(path), .text = {}, .found = nullptr};
  if (search.segments.size() > kSegmentsMax) return match;
  for (const std::string_view segment : search.segments) search.text.push_back(Decode(segment));

  const std::string name = HostName(host);
  bool found =
      (!name.empty() && FindIn(Key(method, name), search)) || FindIn(Key(method, ""), search);
  if (!found && method == "HEAD") {
    found = (!name.empty() && FindIn(Key("GET", name), search)) || FindIn(Key("GET", ""), search);
  }
  if (!found) return match;

  match.route = search.found;
  const Segments shape = Split(match.route->path);
  for (std::size_t i = 0; i < shape.size(); ++i) {
    if (shape[i].starts_with(':')) {
      match.params.emplace_back(shape[i].substr(1), search.text[i]);
    } else if (shape[i].starts_with('*')) {
      const auto begin = search.segments[i].data() - path.data();
      match.params.emplace_back(shape[i].substr(1),
                                Decode(path.substr(static_cast<std::size_t>(begin))));
    }
  }
  return match;
}

std::string HostName(std::string_view host) {
  // The colons within the brackets of an IPv6 literal are part of the name.
  const std::size_t bracket = host.rfind(']');
  const std::size_t colon = host.find(':', bracket == std::string_view::npos ? 0 : bracket);
  std::string name(host.substr(0, colon));
  for (char& c : name) {
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  }
  return name;
}

}  // namespace penstock::gateway
