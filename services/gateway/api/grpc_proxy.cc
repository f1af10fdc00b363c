#include "services/gateway/api/grpc_proxy.h"

#include <algorithm>
#include <array>
#include <chrono>
#include <optional>
#include <utility>

#include "libs/base/status.h"
#include "libs/h2/grpc_wire.h"
#include "libs/rpc/grpc_relay.h"
#include "libs/rpc/metadata.h"
#include "services/gateway/api/grpc_answer.h"

namespace penstock::gateway {
namespace {

using std::chrono::microseconds;

// Of the fields that begin with "grpc-", those that concern the two ends pass; the others belong to
// a hop, or are the gateway's to say. Not either: what the gateway writes itself, or only services
// may send.
bool PassesUp(std::string_view name) {
  constexpr std::array<std::string_view, 5> kGrpc = {"grpc-encoding", "grpc-accept-encoding",
                                                     "grpc-previous-rpc-attempts", "grpc-trace-bin",
                                                     "grpc-tags-bin"};
  if (name.starts_with(':')) return false;
  if (name.starts_with("grpc-")) return std::find(kGrpc.begin(), kGrpc.end(), name) != kGrpc.end();
  return name != "te" && name != "host" && name != rpc::kPeerTokenKey && name != rpc::kPrincipalKey;
}

// "application/grpc", with a subtype of messages or parameters; not gRPC-Web.
bool IsGrpc(std::string_view content_type) {
  constexpr std::string_view kGrpc = "application/grpc";
  if (!content_type.starts_with(kGrpc)) return false;
  content_type.remove_prefix(kGrpc.size());
  return content_type.empty() || content_type.front() == '+' || content_type.front() == ';';
}

}  // namespace

GrpcProxy::GrpcProxy(http::EventLoops& loops, const http::PerLoop<GrpcRules>& rules,
                     std::shared_ptr<const rpc::PeerAuth> peer_auth, metrics::Registry& registry)
    : loops_(loops),
      rules_(rules),
      peer_auth_(std::move(peer_auth)),
      local_(loops, rules,
             [this](h2::Stream& stream, const GrpcTarget& target, const h2::Fields& head,
                    std::string_view received,
                    bool end) { PassOn(stream, target, head, received, end); }),
      calls_(registry.Counter("penstock_gateway_grpc_calls_total", "gRPC calls passed on.")),
      refused_(registry.Counter("penstock_gateway_grpc_refused_total",
                                "gRPC calls refused: unknown methods, missing keys.")) {}

void GrpcProxy::Drain() { local_.Drain(); }

void GrpcProxy::Refuse(h2::Stream& stream, const absl::Status& status) {
  refused_.Increment();
  LeaveStream(stream);
  AnswerGrpcStatus(stream, status);
}

void GrpcProxy::Handle(h2::Stream& stream, h2::Fields head, bool end) {
  // What is no gRPC is refused in HTTP's terms, as gRPC's specification says.
  const bool is_post = head.Get(":method") == "POST";
  if (!is_post || !IsGrpc(head.Get("content-type"))) {
    refused_.Increment();
    LeaveStream(stream);
    h2::Fields answer;
    answer.Add(":status", is_post ? "415" : "405");
    return stream.SendHead(std::move(answer), true);
  }
  std::string_view method = head.Get(":path");
  if (method.starts_with('/')) method.remove_prefix(1);
  if (local_.Handle(method, stream, head, end)) return;
  const GrpcTarget* const target =
      rules_.Get(stream.loop())->targets.Find(method, head.Get(":authority"));
  if (target == nullptr) return Refuse(stream, absl::UnimplementedError("Unknown method"));
  PassOn(stream, *target, head, {}, end);
}

void GrpcProxy::PassOn(h2::Stream& stream, const GrpcTarget& target, const h2::Fields& head,
                       std::string_view received, bool end) {
  const auto& rules = rules_.Get(stream.loop());
  const auto principal =
      rules->authenticator.Check(head.Get("authorization"), head.Get("x-api-key"));
  if (!principal.ok()) return Refuse(stream, principal.status());
  std::optional<microseconds> timeout;
  if (head.Has("grpc-timeout")) {
    timeout = h2::ParseGrpcTimeout(head.Get("grpc-timeout"));
    if (!timeout) return Refuse(stream, FieldError("grpc-timeout", "is malformed"));
    if (timeout->count() == 0) {
      return Refuse(stream, absl::DeadlineExceededError("Deadline Exceeded"));
    }
  }
  h2::Fields up;
  up.Reserve(head.size() + 4, head.list_size());
  up.Add(":method", "POST");
  up.Add(":scheme", target.scheme);
  up.Add(":path", head.Get(":path"));
  up.Add(":authority", target.authority);
  up.Add("te", "trailers");
  // The key to this gateway stays here; other credentials pass.
  const std::string_view api_key = head.Get("x-api-key");
  for (const h2::Fields::Field field : head) {
    if (!PassesUp(field.name) || rules->authenticator.HoldsKey(field.name, api_key)) continue;
    up.Add(field.name, field.value);
  }
  if (timeout) up.Add("grpc-timeout", h2::FormatGrpcTimeout(*timeout));
  if (!principal->empty()) {
    up.Add(rpc::kPrincipalKey, *principal);
    if (target.is_suite) up.Add(rpc::kPeerTokenKey, peer_auth_->token());
  }
  calls_.Increment();
  rpc::RelayGrpc(loops_, stream, *target.relay,
                 {.head = std::move(up),
                  .received = received,
                  .end = end,
                  .timeout = timeout,
                  .owner = rules});
}

}  // namespace penstock::gateway
