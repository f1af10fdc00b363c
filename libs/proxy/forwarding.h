// What a reverse proxy changes about the heads that it passes on (RFC 9110, 7.6), and when it may
// send a request again. Pure.
#pragma once

#include <string>
#include <string_view>

#include "libs/http/message.h"

namespace penstock::proxy {

// Whether what earlier proxies said in X-Forwarded-* is kept.
enum class ForwardedFields {
  kAppend,   // Kept, and ours goes behind it.
  kReplace,  // Dropped: the clients are not proxies of ours, and may say anything.
};

struct ForwardRules {
  ForwardedFields forwarded = ForwardedFields::kAppend;
  // The Host field for the upstream; empty keeps the client's, if it has one.
  std::string host;
  // The upstream's own host and port, for X-Origin-Host.
  std::string origin_host;
};

// The fields for the upstream: the client's without hop-by-hop ones (and those that Connection
// names), Expect and framing; Host; X-Forwarded-For, -Host, -Proto; X-Origin-Host; Via; and
// X-Request-Id, which is `request_id`. With `upgrades`, Connection and Upgrade go along.
http::Headers HeadersForUpstream(const http::Request& request, const ForwardRules& rules,
                                 std::string_view request_id, bool upgrades);

// The fields for the client: the upstream's without hop-by-hop ones and framing; Via; X-Request-Id
// unless the upstream gave one. With `upgrades`, Connection and Upgrade go along.
http::Headers HeadersForClient(const http::Headers& answer, std::string_view request_id,
                               bool upgrades);

// True when the request asks to leave HTTP for another protocol, and the proxy can tunnel it:
// HTTP/1.1, Connection: upgrade, Upgrade, and no body.
bool AsksToUpgrade(const http::Request& request);

// True for methods that do no harm when they are carried out twice (RFC 9110, 9.2.2).
bool IsIdempotent(std::string_view method);

// One try to get an answer that failed before any byte of it came.
struct FailedTry {
  bool is_idempotent = false;
  bool has_body = false;
  // Whether a byte of the request may have left on an established connection.
  bool was_sent = false;
  // The answer did not come in time: another try would only add to the load.
  bool was_timeout = false;
  // This try included.
  int tries = 1;
};

// Whether another try is safe: nothing of the request was sent, or it has no body and may be
// carried out twice. At most `retries_max` after the first.
bool MayRetry(const FailedTry& failed, int retries_max);

}  // namespace penstock::proxy
