// Which route of the reverse proxy takes a request. Pure: no I/O, no clock.
#pragma once

#include <cstddef>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "libs/http/message.h"
#include "libs/transcode/path_template.h"

namespace penstock::proxy {

// A field that a request must carry: with exactly this value, or with any when there is none.
struct HeaderCondition {
  std::string name;
  std::optional<std::string> value;
};

// What a request must be like for a route; what is empty is not looked at.
struct RouteRule {
  // A name without port, or "*.example.com" for every name below it. Compared without case.
  std::string host;
  // One of these two. A prefix covers whole segments: "/shop" takes "/shop" and "/shop/1", not
  // "/shops". A template is that of google.api.http: "/v1/users/*/orders", "/files/**".
  std::string path_prefix;
  std::string path_template;
  std::vector<std::string> methods;
  std::vector<HeaderCondition> headers;
};

struct RouteQuery {
  std::string_view method;
  // As in the Host header.
  std::string_view host;
  // Still percent-encoded, without the query.
  std::string_view path;
  const http::Headers& headers;
};

// Immutable and thread-safe. The most specific route wins: first by host (exact, then the longest
// suffix, then any), then by the bytes of path that it spells out, a template before a prefix, more
// conditions on headers, routes that name methods, and last by their order.
class Routes {
 public:
  // INVALID_ARGUMENT naming the field ("[2].path_prefix") when a rule cannot be read, or is the
  // same as an earlier one.
  static absl::StatusOr<Routes> Create(std::vector<RouteRule> rules);

  // The index of the rule that takes the request. Paths are compared with percent-encoding undone;
  // an encoded slash is no slash.
  std::optional<std::size_t> Find(const RouteQuery& query) const;

  const std::vector<RouteRule>& rules() const { return rules_; }

 private:
  struct Compiled {
    std::size_t index = 0;
    // Of a prefix, decoded.
    std::string prefix;
    std::optional<transcode::PathTemplate> path_template;
    // Bytes of path before the first wildcard.
    std::size_t literal_bytes = 0;
  };
  using Bucket = std::vector<Compiled>;

  const Compiled* FindIn(const Bucket& bucket, const RouteQuery& query,
                         std::string_view decoded_path) const;

  std::vector<RouteRule> rules_;
  std::map<std::string, Bucket, std::less<>> exact_;
  // By the suffix with its dot (".example.com"), the longest first.
  std::vector<std::pair<std::string, Bucket>> suffixes_;
  Bucket any_;
};

// "Shop.Example.com:8080" as "shop.example.com".
std::string HostNameOf(std::string_view authority);

// True when a segment of the path is "." or "..", also percent-encoded: what one server takes for
// a step up is a name to another, so such paths must not be passed on.
bool HasDotSegment(std::string_view path);

// `target` (path and query, percent-encoded) with its first segments, as many as `prefix` has,
// replaced by `replacement`, which begins with a slash: "/shop/a?b" with "/shop" and "/v2" is
// "/v2/a?b".
std::string ReplacePrefix(std::string_view target, std::string_view prefix,
                          std::string_view replacement);

}  // namespace penstock::proxy
