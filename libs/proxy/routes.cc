#include "libs/proxy/routes.h"

#include <fmt/format.h>

#include <algorithm>
#include <tuple>

#include "libs/base/percent.h"
#include "libs/base/status.h"
#include "libs/transcode/percent.h"

namespace penstock::proxy {
namespace {

using Kind = transcode::TemplateSegment::Kind;

std::string Lower(std::string_view text) {
  std::string lower(text);
  for (char& c : lower) {
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  }
  return lower;
}

bool IsToken(std::string_view text) { return http::IsValidHeader(text, ""); }

bool IsHostPattern(std::string_view host) {
  if (host.starts_with("*.")) host.remove_prefix(2);
  return !host.empty() && host.find_first_of("*/: ") == std::string_view::npos;
}

// The path with percent-encoding undone but for slashes; one that is not well encoded as it is.
std::string Decoded(std::string_view path) {
  std::string decoded;
  if (!transcode::PercentDecode(path, transcode::PercentRule::kSegments, &decoded)) {
    return std::string(path);
  }
  return decoded;
}

// With every slash that some server sees in it: encoded ones, backslashes, and those beside what is
// not well encoded.
std::string DecodedByAnyServer(std::string_view path) {
  std::string decoded = PercentDecodeLeniently(path);
  std::replace(decoded.begin(), decoded.end(), '\\', '/');
  return decoded;
}

bool HasPrefix(std::string_view path, std::string_view prefix) {
  return path.starts_with(prefix) &&
         (path.size() == prefix.size() || prefix.ends_with('/') || path[prefix.size()] == '/');
}

bool MatchesSegments(const transcode::PathTemplate& pattern, std::string_view path) {
  if (!pattern.verb.empty()) {
    const std::size_t colon = path.rfind(':');
    if (colon == std::string_view::npos || path.substr(colon + 1) != pattern.verb) return false;
    path = path.substr(0, colon);
  }
  if (!path.starts_with('/')) return false;
  path.remove_prefix(1);
  bool has_more = !path.empty();
  for (const transcode::TemplateSegment& segment : pattern.segments) {
    if (segment.kind == Kind::kMulti) return true;
    if (!has_more) return false;
    const std::size_t slash = path.find('/');
    const std::string_view piece = path.substr(0, slash);
    if (segment.kind == Kind::kLiteral ? piece != segment.literal : piece.empty()) return false;
    has_more = slash != std::string_view::npos;
    path.remove_prefix(has_more ? slash + 1 : path.size());
  }
  return !has_more;
}

std::size_t LiteralBytes(const transcode::PathTemplate& pattern) {
  std::size_t bytes = 0;
  for (const transcode::TemplateSegment& segment : pattern.segments) {
    if (segment.kind != Kind::kLiteral) break;
    bytes += 1 + segment.literal.size();
  }
  return bytes;
}

bool MatchesHeaders(const std::vector<HeaderCondition>& conditions, const http::Headers& headers) {
  return std::all_of(conditions.begin(), conditions.end(), [&](const HeaderCondition& condition) {
    if (!condition.value.has_value()) return headers.Has(condition.name);
    const auto values = headers.GetAll(condition.name);
    return std::find(values.begin(), values.end(), *condition.value) != values.end();
  });
}

bool MatchesMethod(const std::vector<std::string>& methods, std::string_view method) {
  return methods.empty() || std::find(methods.begin(), methods.end(), method) != methods.end();
}

// What two rules must differ in.
auto Identity(const RouteRule& rule) {
  std::vector<std::string> methods = rule.methods;
  std::sort(methods.begin(), methods.end());
  std::vector<std::pair<std::string, std::optional<std::string>>> headers;
  for (const HeaderCondition& condition : rule.headers) {
    headers.emplace_back(Lower(condition.name), condition.value);
  }
  std::sort(headers.begin(), headers.end());
  return std::make_tuple(Lower(rule.host), rule.path_prefix, rule.path_template, methods, headers);
}

absl::Status CheckConditions(const RouteRule& rule, const std::string& at) {
  for (std::size_t i = 0; i < rule.methods.size(); ++i) {
    if (!IsToken(rule.methods[i])) {
      return FieldError(fmt::format("{}.methods[{}]", at, i), "expected a method, such as GET");
    }
  }
  for (std::size_t i = 0; i < rule.headers.size(); ++i) {
    if (!http::IsValidHeader(rule.headers[i].name, rule.headers[i].value.value_or(""))) {
      return FieldError(fmt::format("{}.headers[{}]", at, i),
                        "the name is no token, or the value holds a control character");
    }
  }
  return absl::OkStatus();
}

absl::Status CheckRule(const RouteRule& rule, const std::string& at) {
  if (!rule.host.empty() && !IsHostPattern(rule.host)) {
    return FieldError(at + ".host", "expected a name without port, or \"*.\" and a name");
  }
  if (rule.path_prefix.empty() == rule.path_template.empty()) {
    return FieldError(at + ".path_prefix", "expected either path_prefix or path_template");
  }
  if (!rule.path_prefix.empty() && !rule.path_prefix.starts_with('/')) {
    return FieldError(at + ".path_prefix", "expected a slash at the start");
  }
  if (rule.path_prefix.find_first_of("?# ") != std::string::npos) {
    return FieldError(at + ".path_prefix", "expected a path without '?', '#' and spaces");
  }
  return CheckConditions(rule, at);
}

}  // namespace

absl::StatusOr<Routes> Routes::Create(std::vector<RouteRule> rules) {
  Routes routes;
  routes.rules_ = std::move(rules);
  std::map<std::string, Bucket, std::less<>> suffixes;
  for (std::size_t i = 0; i < routes.rules_.size(); ++i) {
    const RouteRule& rule = routes.rules_[i];
    const std::string at = fmt::format("[{}]", i);
    RETURN_IF_ERROR(CheckRule(rule, at));
    for (std::size_t earlier = 0; earlier < i; ++earlier) {
      if (Identity(rule) != Identity(routes.rules_[earlier])) continue;
      return FieldError(at, fmt::format("takes the same requests as [{}]", earlier));
    }
    Compiled compiled{.index = i, .prefix = Decoded(rule.path_prefix)};
    compiled.literal_bytes = compiled.prefix == "/" ? 0 : compiled.prefix.size();
    if (!rule.path_template.empty()) {
      auto parsed = transcode::ParsePathTemplate(rule.path_template);
      if (!parsed.ok())
        return FieldError(at + ".path_template", std::string(parsed.status().message()));
      compiled.literal_bytes = LiteralBytes(*parsed);
      compiled.path_template = *std::move(parsed);
    }
    const std::string host = Lower(rule.host);
    Bucket& bucket = host.empty()             ? routes.any_
                     : host.starts_with("*.") ? suffixes[host.substr(1)]
                                              : routes.exact_[host];
    bucket.push_back(std::move(compiled));
  }
  const auto sort = [&rules = routes.rules_](Bucket& bucket) {
    const auto rank = [&rules](const Compiled& route) {
      const RouteRule& rule = rules[route.index];
      // Smaller is more specific.
      return std::make_tuple(
          -static_cast<long>(route.literal_bytes), route.path_template.has_value() ? 0 : 1,
          -static_cast<long>(rule.headers.size()), rule.methods.empty() ? 1 : 0, route.index);
    };
    std::sort(bucket.begin(), bucket.end(),
              [&](const Compiled& a, const Compiled& b) { return rank(a) < rank(b); });
  };
  for (auto& [host, bucket] : routes.exact_) sort(bucket);
  for (auto& [suffix, bucket] : suffixes) {
    sort(bucket);
    routes.suffixes_.emplace_back(suffix, std::move(bucket));
  }
  std::stable_sort(routes.suffixes_.begin(), routes.suffixes_.end(),
                   [](const auto& a, const auto& b) { return a.first.size() > b.first.size(); });
  sort(routes.any_);
  return routes;
}

const Routes::Compiled* Routes::FindIn(const Bucket& bucket, const RouteQuery& query,
                                       std::string_view decoded_path) const {
  for (const Compiled& route : bucket) {
    const bool takes_path = route.path_template.has_value()
                                ? MatchesSegments(*route.path_template, decoded_path)
                                : HasPrefix(decoded_path, route.prefix);
    const RouteRule& rule = rules_[route.index];
    if (takes_path && MatchesMethod(rule.methods, query.method) &&
        MatchesHeaders(rule.headers, query.headers)) {
      return &route;
    }
  }
  return nullptr;
}

std::optional<std::size_t> Routes::Find(const RouteQuery& query) const {
  std::string decoded;
  std::string_view path = query.path;
  if (path.find('%') != std::string_view::npos) path = decoded = Decoded(path);
  const Compiled* found = nullptr;
  if (!exact_.empty() || !suffixes_.empty()) {
    const std::string host = HostNameOf(query.host);
    if (const auto exact = exact_.find(host); exact != exact_.end()) {
      found = FindIn(exact->second, query, path);
    }
    for (const auto& [suffix, bucket] : suffixes_) {
      if (found != nullptr) break;
      if (host.size() > suffix.size() && host.ends_with(suffix)) {
        found = FindIn(bucket, query, path);
      }
    }
  }
  if (found == nullptr) found = FindIn(any_, query, path);
  return found == nullptr ? std::nullopt : std::optional(found->index);
}

std::string HostNameOf(std::string_view authority) {
  const std::size_t bracket = authority.rfind(']');
  const std::size_t colon = authority.find(':', bracket == std::string_view::npos ? 0 : bracket);
  return Lower(authority.substr(0, colon));
}

bool HasDotSegment(std::string_view path) {
  if (path.find("/.") == std::string_view::npos && path.find_first_of("%\\") == std::string::npos) {
    return false;
  }
  const std::string decoded = DecodedByAnyServer(path);
  std::string_view rest = decoded;
  while (!rest.empty()) {
    const std::size_t slash = std::min(rest.find('/'), rest.size());
    // Some take what is behind a semicolon for a parameter of the segment.
    const std::string_view segment = rest.substr(0, std::min(rest.find(';'), slash));
    if (segment == "." || segment == "..") return true;
    rest.remove_prefix(std::min(slash + 1, rest.size()));
  }
  return false;
}

std::string ReplacePrefix(std::string_view target, std::string_view prefix,
                          std::string_view replacement) {
  while (prefix.ends_with('/')) prefix.remove_suffix(1);
  const auto segments = std::count(prefix.begin(), prefix.end(), '/');
  const std::size_t path_end = std::min(target.find('?'), target.size());
  std::size_t end = 0;
  for (auto i = segments; i > 0 && end < path_end; --i) {
    end = std::min(target.find('/', end + 1), path_end);
  }
  std::string_view rest = target.substr(end);
  if (replacement.ends_with('/') && rest.starts_with('/')) rest.remove_prefix(1);
  return std::string(replacement).append(rest);
}

}  // namespace penstock::proxy
