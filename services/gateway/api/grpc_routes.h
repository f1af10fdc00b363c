// Where a gRPC call goes.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"

namespace penstock::gateway {

// True when a full method name, "acme.v1.Users/Get", matches. A pattern with `*` is a glob, in
// which each `*` stands for any run of characters; any other is a prefix that ends where a part of
// the name does: "acme.v1" matches "acme.v1.Users/Get" and not "acme.v1beta.Users/Get".
bool MatchesMethod(std::string_view pattern, std::string_view method);

// True when `:authority` matches: a name or glob, in any case. The port counts only when the
// pattern has one.
bool MatchesAuthority(std::string_view pattern, std::string_view authority);

// A gRPC server outside the suite, as the config names it.
struct GrpcUpstream {
  // In messages.
  std::string name;
  // "host:port" each.
  std::vector<std::string> addresses;
  // What goes there: patterns for methods, and for authorities. An empty list matches everything;
  // not both may be empty.
  std::vector<std::string> methods;
  std::vector<std::string> authorities;
  bool tls = false;
  // PEM file of authorities to trust in place of the system's.
  std::string tls_ca_file;
  // Asked before the suite's own services, as every upstream with authorities is.
  bool replaces_suite = false;

  bool comes_first() const { return replaces_suite || !authorities.empty(); }
};

// The external Master API, with the methods of what `/api` manages. Without addresses there is
// none.
GrpcUpstream MasterApiUpstream();

struct GrpcRoutes {
  std::vector<GrpcUpstream> upstreams;
  // Of the config's `master_api.grpc`.
  GrpcUpstream master_api = MasterApiUpstream();
  // Patterns over methods. What `deny` matches is unknown to callers; with a non-empty `allow`, so
  // is what that does not match.
  std::vector<std::string> allow;
  std::vector<std::string> deny;

  // INVALID_ARGUMENT naming each key at fault, under "grpc." and "master_api.grpc.".
  absl::Status Validate() const;

  bool Allows(std::string_view method) const;
  // The index of the first upstream that matches, of those that come before the suite's own
  // services or after.
  std::optional<std::size_t> Find(std::string_view method, std::string_view authority,
                                  bool before_suite) const;
};

}  // namespace penstock::gateway
