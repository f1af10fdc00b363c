#include "services/gateway/api/grpc_routes.h"

#include <fmt/format.h>

#include <algorithm>
#include <iterator>
#include <set>

#include "libs/base/status.h"
#include "libs/h2/client.h"
#include "services/gateway/api/proxy_options.h"

namespace penstock::gateway {
namespace {

// In time proportional to the product of the sizes at worst.
bool MatchesGlob(std::string_view glob, std::string_view text) {
  std::size_t at = 0;
  std::size_t i = 0;
  std::size_t star = std::string_view::npos;
  std::size_t resume = 0;
  while (i < text.size()) {
    if (at < glob.size() && glob[at] == '*') {
      star = at++;
      resume = i;
    } else if (at < glob.size() && glob[at] == text[i]) {
      ++at;
      ++i;
    } else if (star != std::string_view::npos) {
      at = star + 1;
      i = ++resume;
    } else {
      return false;
    }
  }
  while (at < glob.size() && glob[at] == '*') ++at;
  return at == glob.size();
}

std::string Lower(std::string_view text) {
  std::string lower(text);
  for (char& c : lower) {
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  }
  return lower;
}

std::string_view WithoutPort(std::string_view authority) {
  const std::size_t colon = authority.rfind(':');
  // The last colon of "[::1]" is inside the brackets.
  if (colon == std::string_view::npos || authority.find(']', colon) != std::string_view::npos) {
    return authority;
  }
  return authority.substr(0, colon);
}

bool MatchesAny(const std::vector<std::string>& patterns, std::string_view method) {
  return std::any_of(patterns.begin(), patterns.end(), [method](const std::string& pattern) {
    return MatchesMethod(pattern, method);
  });
}

// Methods of the suite that the broker's data plane does not belong to.
constexpr const char* kMasterApiMethods[] = {"penstock.functions.v1", "penstock.executions.v1",
                                             "penstock.events.v1.EventCatalogService"};

void CheckPatterns(const std::string& key, const std::vector<std::string>& patterns,
                   std::vector<FieldViolation>& violations) {
  for (const std::string& pattern : patterns) {
    if (pattern.empty()) violations.push_back({key, "must not hold an empty pattern"});
  }
}

void CheckServers(const std::string& key, const GrpcUpstream& upstream,
                  std::vector<FieldViolation>& violations) {
  for (const std::string& address : upstream.addresses) {
    std::string host;
    std::uint16_t port = 0;
    if (!h2::SplitAddress(address, host, port)) {
      violations.push_back(
          {key + ".addresses", fmt::format("expected host:port, got \"{}\"", address)});
    }
  }
  if (upstream.methods.empty() && upstream.authorities.empty()) {
    violations.push_back(
        {key + ".methods", upstream.replaces_suite
                               ? "must hold a pattern"
                               : "must hold a pattern, as authorities holds none"});
  }
  CheckPatterns(key + ".methods", upstream.methods, violations);
  CheckPatterns(key + ".authorities", upstream.authorities, violations);
  if (!upstream.tls_ca_file.empty() && !upstream.tls) {
    violations.push_back({key + ".tls_ca_file", "needs tls: true"});
  }
}

}  // namespace

bool MatchesMethod(std::string_view pattern, std::string_view method) {
  if (pattern.starts_with('/')) pattern.remove_prefix(1);
  if (pattern.find('*') != std::string_view::npos) return MatchesGlob(pattern, method);
  if (!method.starts_with(pattern)) return false;
  if (method.size() == pattern.size() || pattern.empty()) return true;
  const auto is_break = [](char c) { return c == '.' || c == '/'; };
  return is_break(pattern.back()) || is_break(method[pattern.size()]);
}

bool MatchesAuthority(std::string_view pattern, std::string_view authority) {
  if (WithoutPort(pattern) == pattern) authority = WithoutPort(authority);
  return MatchesGlob(Lower(pattern), Lower(authority));
}

GrpcUpstream MasterApiUpstream() {
  GrpcUpstream upstream;
  upstream.name = kMasterApi;
  upstream.methods = {std::begin(kMasterApiMethods), std::end(kMasterApiMethods)};
  upstream.replaces_suite = true;
  return upstream;
}

absl::Status GrpcRoutes::Validate() const {
  std::vector<FieldViolation> violations;
  std::set<std::string> names = {kMasterApi};
  for (std::size_t i = 0; i < upstreams.size(); ++i) {
    const GrpcUpstream& upstream = upstreams[i];
    const std::string key = fmt::format("grpc.upstreams[{}]", i);
    if (upstream.name.empty()) violations.push_back({key + ".name", "must not be empty"});
    if (!names.insert(upstream.name).second) {
      violations.push_back({key + ".name", fmt::format("\"{}\" is taken", upstream.name)});
    }
    if (upstream.addresses.empty()) {
      violations.push_back({key + ".addresses", "must name at least one host:port"});
    }
    CheckServers(key, upstream, violations);
  }
  CheckServers("master_api.grpc", master_api, violations);
  CheckPatterns("grpc.allow", allow, violations);
  CheckPatterns("grpc.deny", deny, violations);
  return FieldErrors(violations);
}

bool GrpcRoutes::Allows(std::string_view method) const {
  if (MatchesAny(deny, method)) return false;
  return allow.empty() || MatchesAny(allow, method);
}

std::optional<std::size_t> GrpcRoutes::Find(std::string_view method, std::string_view authority,
                                            bool before_suite) const {
  for (std::size_t i = 0; i < upstreams.size(); ++i) {
    const GrpcUpstream& upstream = upstreams[i];
    if (upstream.comes_first() != before_suite) continue;
    if (!upstream.methods.empty() && !MatchesAny(upstream.methods, method)) continue;
    const bool matches = upstream.authorities.empty() ||
                         std::any_of(upstream.authorities.begin(), upstream.authorities.end(),
                                     [authority](const std::string& pattern) {
                                       return MatchesAuthority(pattern, authority);
                                     });
    if (matches) return i;
  }
  return std::nullopt;
}

}  // namespace penstock::gateway
