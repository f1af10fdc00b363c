// gRPC metadata, and the names that Penstock's services give each other.
#pragma once

#include <string>
#include <utility>
#include <vector>

namespace penstock::rpc {

// Keys in lower case with their values, in order.
using MetadataList = std::vector<std::pair<std::string, std::string>>;

// Trailing, from a service: "<service>:<revision>" after a mutation. HTTP spells it
// Penstock-Revision.
inline constexpr char kRevisionKey[] = "penstock-revision";
// From a client: the revision it must be able to see; may occur once per service.
inline constexpr char kMinRevisionKey[] = "penstock-min-revision";
// From the gateway: the authenticated principal. Believed only next to a valid peer token.
inline constexpr char kPrincipalKey[] = "penstock-principal";
// From a service: the shared peer token.
inline constexpr char kPeerTokenKey[] = "penstock-peer-token";
// W3C trace context.
inline constexpr char kTraceparentKey[] = "traceparent";

}  // namespace penstock::rpc
