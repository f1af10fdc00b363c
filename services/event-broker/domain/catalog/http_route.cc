#include "services/event-broker/domain/catalog/http_route.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <set>
#include <vector>

#include "absl/strings/ascii.h"
#include "libs/base/status.h"

namespace penstock::broker {
namespace {

constexpr std::array<std::string_view, 7> kMethods = {"GET",    "POST", "PUT",    "PATCH",
                                                      "DELETE", "HEAD", "OPTIONS"};
constexpr std::size_t kPathLengthMax = 512;

std::vector<std::string_view> Segments(std::string_view path) {
  std::vector<std::string_view> segments;
  std::size_t start = 1;
  while (true) {
    const std::size_t slash = path.find('/', start);
    segments.push_back(path.substr(start, slash - start));
    if (slash == std::string_view::npos) return segments;
    start = slash + 1;
  }
}

bool IsReserved(std::string_view first) {
  return first == "events" || first == "api" || first == "spaces" || first == "openapi.json" ||
         first.starts_with("events:") || first.starts_with("_");
}

bool IsParameterName(std::string_view name) {
  return !name.empty() && name.size() <= 63 && std::all_of(name.begin(), name.end(), [](char c) {
    return absl::ascii_isalnum(static_cast<unsigned char>(c)) || c == '_' || c == '-';
  });
}

absl::Status CheckSegments(const std::vector<std::string_view>& segments) {
  std::set<std::string_view> names;
  for (std::size_t i = 0; i < segments.size(); ++i) {
    const std::string_view segment = segments[i];
    const bool last = i + 1 == segments.size();
    if (segment.empty() && !last) return FieldError("http.path", "has an empty segment");
    if (segment == "." || segment == "..") {
      return FieldError("http.path", "must not contain \".\" or \"..\" segments");
    }
    const bool parameter = segment.starts_with(':');
    const bool wildcard = segment.starts_with('*');
    if (!parameter && !wildcard) continue;
    if (wildcard && !last)
      return FieldError("http.path", "has a wildcard that is not the last segment");
    if (!IsParameterName(segment.substr(1))) {
      return FieldError("http.path",
                        fmt::format("\"{}\" needs a name of letters, digits, '_' or '-'", segment));
    }
    if (!names.insert(segment.substr(1)).second) {
      return FieldError("http.path", fmt::format("uses the name \"{}\" twice", segment.substr(1)));
    }
  }
  return absl::OkStatus();
}

}  // namespace

absl::Status CheckAndNormalize(HttpRoute& route) {
  if (route.method.empty()) route.method = "POST";
  absl::AsciiStrToUpper(&route.method);
  absl::AsciiStrToLower(&route.host);
  if (std::find(kMethods.begin(), kMethods.end(), route.method) == kMethods.end()) {
    return FieldError("http.method", "expected GET, POST, PUT, PATCH, DELETE, HEAD or OPTIONS");
  }
  if (!route.path.starts_with('/')) return FieldError("http.path", "must start with '/'");
  if (route.path.size() > kPathLengthMax) {
    return FieldError("http.path", "expected at most 512 characters");
  }
  for (const char c : route.path) {
    const auto byte = static_cast<unsigned char>(c);
    if (byte <= 0x20 || byte >= 0x7f || c == '?' || c == '#') {
      return FieldError("http.path", "contains a character that is not allowed in a path");
    }
  }
  if (route.host.size() > 253) return FieldError("http.host", "expected at most 253 characters");
  const auto segments = Segments(route.path);
  if (IsReserved(segments.front())) {
    return FieldError("http.path",
                      "is reserved: /events, /api, /spaces, /openapi.json and /_* are the "
                      "gateway's own");
  }
  return CheckSegments(segments);
}

std::string RouteKey(const HttpRoute& route) {
  std::string key = route.method + " " + route.host;
  for (const std::string_view segment : Segments(route.path)) {
    key += '/';
    if (segment.starts_with(':')) {
      key += ':';
    } else if (segment.starts_with('*')) {
      key += '*';
    } else {
      key += segment;
    }
  }
  return key;
}

}  // namespace penstock::broker
