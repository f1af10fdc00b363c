// Which function answers a request: methods, hosts and paths of synchronous subscriptions.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace penstock::gateway {

// A path of the front door that a function answers.
struct Route {
  // `spaces/{space}/subscriptions/{subscription}`.
  std::string subscription;
  // In capitals.
  std::string method;
  // Segments may be ":name", the last one "*rest".
  std::string path;
  // In lower case; empty for any.
  std::string host;
  // `spaces/{space}/functions/{function}`.
  std::string function;
  // A request is also published, before the function runs.
  bool publish = false;

  friend bool operator==(const Route&, const Route&) = default;
};

// The route that a request meets.
struct RouteMatch {
  // Null when there is none; else valid as long as the table.
  const Route* route = nullptr;
  // The values of the path's ":name" and "*rest", percent-decoded.
  std::vector<std::pair<std::string, std::string>> params;
};

// All routes at one moment. Immutable, thread-safe.
//
// At each segment a static one beats ":name", and that beats "*rest"; a branch that leads nowhere
// is left for the next best. Routes for a host beat those for any; a HEAD request without a route
// of its own meets the GET route. "*rest" takes one segment or more; a trailing slash is a segment
// of its own.
class RouteTable {
 public:
  // Of two routes with the same method, host and shape of path the first counts.
  explicit RouteTable(std::vector<Route> routes);
  RouteTable(const RouteTable&) = delete;
  RouteTable& operator=(const RouteTable&) = delete;
  ~RouteTable();

  // `path` is the request's, still percent-encoded; `host` is the Host header, with or without a
  // port.
  RouteMatch Match(std::string_view method, std::string_view host, std::string_view path) const;

  std::size_t size() const { return routes_.size(); }

 private:
  struct Node;
  struct Search;
  using Roots = std::map<std::string, std::unique_ptr<Node>, std::less<>>;

  static void Add(Node& root, const Route& route);
  static bool Find(const Node& node, std::size_t index, Search& search);
  bool FindIn(std::string_view root, Search& search) const;

  const std::vector<Route> routes_;
  // By "METHOD host".
  Roots roots_;
};

// The Host header without its port, in lower case.
std::string HostName(std::string_view host);

}  // namespace penstock::gateway
