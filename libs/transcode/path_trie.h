// Routes by the segments of their templates.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "absl/container/inlined_vector.h"
#include "libs/transcode/path_template.h"
#include "libs/transcode/route_table.h"

namespace penstock::transcode {

// A path split at its slashes; refers to its text.
using Segments = absl::InlinedVector<std::string_view, 16>;

// The kind of a custom rule that takes every method.
inline constexpr std::string_view kAnyMethod = "*";

// Finds routes by segments. As `**` only ends templates, a search visits each node at most once,
// whatever the path. Thread-safe once filled.
class PathTrie {
 public:
  // Adds a route; the route that has its place already, if there is one, is returned and keeps it.
  const Route* Add(const PathTemplate& path_template, const Route* route);

  // The most specific route for the method, or null; then methods of routes for the same path are
  // added to `allowed`. Of the routes of one template that of the method goes before that of GET
  // for a HEAD, and that before the one of any method. `decoded` has the segments with
  // percent-encoding undone, for comparison with literals.
  const Route* Find(const Segments& decoded, std::string_view verb, std::string_view http_method,
                    std::vector<std::string>* allowed) const;

 private:
  struct Node {
    std::map<std::string, std::unique_ptr<Node>, std::less<>> literals;
    std::unique_ptr<Node> single;
    std::unique_ptr<Node> multi;
    // Routes that end here, by verb and method.
    std::map<std::string, std::map<std::string, const Route*, std::less<>>, std::less<>> routes;
  };
  struct Search;

  static const Route* FindFrom(const Node& node, std::size_t index, Search& search);
  static const Route* FindAt(const Node& node, Search& search);

  Node root_;
};

}  // namespace penstock::transcode
