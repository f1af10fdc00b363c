#include "libs/proxy/forwarding.h"

#include <vector>

namespace penstock::proxy {
namespace {

using http::EqualsIgnoreCase;

constexpr std::string_view kVia = "1.1 penstock";
constexpr std::size_t kOptionsMax = 64;
// Room for what the proxy adds.
constexpr std::size_t kFieldsAdded = 9;
constexpr std::size_t kBytesAdded = 320;

// Fields about one connection, and those that framing is made of.
bool IsHopByHop(std::string_view name) {
  switch (name.size()) {
    case 2: return EqualsIgnoreCase(name, "te");
    case 7: return EqualsIgnoreCase(name, "trailer") || EqualsIgnoreCase(name, "upgrade");
    case 10: return EqualsIgnoreCase(name, "connection") || EqualsIgnoreCase(name, "keep-alive");
    case 14:
      return EqualsIgnoreCase(name, "content-length") || EqualsIgnoreCase(name, "http2-settings");
    case 16: return EqualsIgnoreCase(name, "proxy-connection");
    case 17: return EqualsIgnoreCase(name, "transfer-encoding");
    case 18: return EqualsIgnoreCase(name, "proxy-authenticate");
    case 19: return EqualsIgnoreCase(name, "proxy-authorization");
    default: return false;
  }
}

// Fields that the proxy itself writes towards the upstream.
bool IsWritten(std::string_view name) {
  switch (name.size()) {
    case 3: return EqualsIgnoreCase(name, "via");
    case 4: return EqualsIgnoreCase(name, "host");
    case 6: return EqualsIgnoreCase(name, "expect");
    case 12: return EqualsIgnoreCase(name, "x-request-id");
    case 13: return EqualsIgnoreCase(name, "x-origin-host");
    case 15: return EqualsIgnoreCase(name, "x-forwarded-for");
    case 16: return EqualsIgnoreCase(name, "x-forwarded-host");
    case 17: return EqualsIgnoreCase(name, "x-forwarded-proto");
    default: return false;
  }
}

std::string_view Trim(std::string_view text) {
  while (!text.empty() && (text.front() == ' ' || text.front() == '\t')) text.remove_prefix(1);
  while (!text.empty() && (text.back() == ' ' || text.back() == '\t')) text.remove_suffix(1);
  return text;
}

std::size_t BytesOf(const http::Headers& headers) {
  std::size_t bytes = 0;
  for (const http::Headers::Field field : headers) bytes += field.name.size() + field.value.size();
  return bytes;
}

// The names that the fields called Connection list: a few, each of which is compared with each
// field.
std::vector<std::string_view> ConnectionOptions(const http::Headers& headers) {
  std::vector<std::string_view> options;
  for (const http::Headers::Field field : headers) {
    if (!EqualsIgnoreCase(field.name, "connection")) continue;
    std::string_view list = field.value;
    while (!list.empty()) {
      const std::size_t comma = std::min(list.find(','), list.size());
      const std::string_view option = Trim(list.substr(0, comma));
      if (!option.empty() && options.size() < kOptionsMax) options.push_back(option);
      list.remove_prefix(std::min(comma + 1, list.size()));
    }
  }
  return options;
}

bool IsListed(const std::vector<std::string_view>& options, std::string_view name) {
  for (const std::string_view option : options) {
    if (EqualsIgnoreCase(option, name)) return true;
  }
  return false;
}

// The values that `name` has in `from`, if they are to be kept, and `value` behind them.
void AddToList(http::Headers& to, const http::Headers& from, std::string_view name,
               std::string_view value, bool keeps) {
  std::string list;
  if (keeps && from.Has(name)) {
    for (const std::string_view earlier : from.GetAll(name)) list.append(earlier).append(", ");
    list.append(value);
    value = list;
  }
  to.Add(name, value);
}

void AddUpgrade(http::Headers& to, const http::Headers& from) {
  to.Add("Connection", "upgrade");
  for (const std::string_view protocol : from.GetAll("upgrade")) to.Add("Upgrade", protocol);
}

}  // namespace

http::Headers HeadersForUpstream(const http::Request& request, const ForwardRules& rules,
                                 std::string_view request_id, bool upgrades) {
  const http::Headers& received = request.headers;
  const std::vector<std::string_view> options = ConnectionOptions(received);
  const std::string_view client_host = received.Get("host");
  http::Headers headers;
  headers.Reserve(received.size() + kFieldsAdded, BytesOf(received) + kBytesAdded);
  // A client of HTTP/1.0 may have none.
  const std::string_view kept_host = client_host.empty() ? rules.origin_host : client_host;
  headers.Add("Host", rules.host.empty() ? kept_host : std::string_view(rules.host));
  for (const http::Headers::Field field : received) {
    if (IsHopByHop(field.name) || IsWritten(field.name) || IsListed(options, field.name)) continue;
    headers.Add(field.name, field.value);
  }
  const bool keeps = rules.forwarded == ForwardedFields::kAppend;
  AddToList(headers, received, "X-Forwarded-For", request.remote_address, keeps);
  if (!client_host.empty()) {
    AddToList(headers, received, "X-Forwarded-Host", client_host, keeps);
  }
  AddToList(headers, received, "X-Forwarded-Proto", request.is_tls ? "https" : "http", keeps);
  headers.Add("X-Origin-Host", rules.origin_host);
  headers.Add("X-Request-Id", request_id);
  AddToList(headers, received, "Via", kVia, true);
  if (upgrades) AddUpgrade(headers, received);
  return headers;
}

http::Headers HeadersForClient(const http::Headers& answer, std::string_view request_id,
                               bool upgrades) {
  const std::vector<std::string_view> options = ConnectionOptions(answer);
  http::Headers headers;
  headers.Reserve(answer.size() + kFieldsAdded, BytesOf(answer) + kBytesAdded);
  bool has_request_id = false;
  for (const http::Headers::Field field : answer) {
    if (IsHopByHop(field.name) || IsListed(options, field.name)) continue;
    if (EqualsIgnoreCase(field.name, "via")) continue;
    has_request_id = has_request_id || EqualsIgnoreCase(field.name, "x-request-id");
    headers.Add(field.name, field.value);
  }
  AddToList(headers, answer, "Via", kVia, true);
  if (!has_request_id) headers.Add("X-Request-Id", request_id);
  if (upgrades) AddUpgrade(headers, answer);
  return headers;
}

bool AsksToUpgrade(const http::Request& request) {
  // In HTTP/2 a client could ask for paths that no route leads to.
  if (request.headers.HasToken("upgrade", "h2c")) return false;
  const std::string_view length = request.headers.Get("content-length");
  return !request.is_http_1_0 && request.headers.Has("upgrade") &&
         request.headers.HasToken("connection", "upgrade") &&
         !request.headers.Has("transfer-encoding") && (length.empty() || length == "0");
}

bool IsIdempotent(std::string_view method) {
  return method == "GET" || method == "HEAD" || method == "OPTIONS" || method == "PUT" ||
         method == "DELETE" || method == "TRACE";
}

bool MayRetry(const FailedTry& failed, int retries_max) {
  if (failed.tries > retries_max) return false;
  if (!failed.was_sent) return true;
  return failed.is_idempotent && !failed.has_body && !failed.was_timeout;
}

}  // namespace penstock::proxy
