#include "services/gateway/api/grpc_proxy.h"

#include <algorithm>
#include <array>
#include <chrono>
#include <optional>
#include <utility>

#include "libs/base/status.h"
#include "libs/h2/grpc_wire.h"
#include "libs/http/cancelable.h"
#include "libs/rpc/metadata.h"
#include "services/gateway/api/grpc_answer.h"

namespace penstock::gateway {
namespace {

using SteadyClock = std::chrono::steady_clock;
using std::chrono::microseconds;

// Of the fields that begin with "grpc-", those that concern the two ends pass; the others belong to
// a hop, or are the gateway's to say.
template <std::size_t kSize>
bool IsAmong(const std::array<std::string_view, kSize>& names, std::string_view name) {
  return std::find(names.begin(), names.end(), name) != names.end();
}

// Not: what the gateway writes itself, or only services may send.
bool PassesUp(std::string_view name) {
  constexpr std::array<std::string_view, 5> kGrpc = {"grpc-encoding", "grpc-accept-encoding",
                                                     "grpc-previous-rpc-attempts", "grpc-trace-bin",
                                                     "grpc-tags-bin"};
  if (name.starts_with(':')) return false;
  if (name.starts_with("grpc-")) return IsAmong(kGrpc, name);
  return name != "te" && name != "host" && name != rpc::kPeerTokenKey && name != rpc::kPrincipalKey;
}

bool PassesDown(std::string_view name) {
  constexpr std::array<std::string_view, 6> kGrpc = {
      "grpc-encoding", "grpc-accept-encoding",    "grpc-status",
      "grpc-message",  "grpc-status-details-bin", "grpc-retry-pushback-ms"};
  return !name.starts_with("grpc-") || IsAmong(kGrpc, name);
}

// "application/grpc", with a subtype of messages or parameters; not gRPC-Web.
bool IsGrpc(std::string_view content_type) {
  constexpr std::string_view kGrpc = "application/grpc";
  if (!content_type.starts_with(kGrpc)) return false;
  content_type.remove_prefix(kGrpc.size());
  return content_type.empty() || content_type.front() == '+' || content_type.front() == ';';
}

// What passes down of a head or trailers; the same block when all of it does.
h2::Fields Down(h2::Fields fields) {
  bool passes = true;
  for (const h2::Fields::Field field : fields) passes &= PassesDown(field.name);
  if (passes) return fields;
  h2::Fields filtered;
  for (const h2::Fields::Field field : fields) {
    if (PassesDown(field.name)) filtered.Add(field.name, field.value);
  }
  return filtered;
}

// A call on its way through; on its loop only. It deletes itself when neither side is left.
//
// Bytes that arrive on one side are consumed there when they have left the queue of the other, so
// that each end sees the other's window.
class ProxiedCall {
 public:
  // `target` is one of `rules`.
  ProxiedCall(h2::Stream& front, std::shared_ptr<const GrpcRules> rules, const GrpcTarget& target)
      : rules_(std::move(rules)),
        target_(target),
        front_(*this),
        back_(*this),
        front_stream_(&front) {
    front.SetHandler(&front_);
  }
  ~ProxiedCall() {
    if (deadline_ != nullptr) deadline_->Cancel();
  }

  void Start(h2::Fields head, std::string_view received, bool end) {
    back_stream_ = &target_.client->Open(std::move(head), end && received.empty(), &back_);
    if (!received.empty()) back_stream_->Write(h2::Chunk::Copy(received));
    if (end && !received.empty()) back_stream_->End();
  }

  void SetDeadline(http::EventLoops& loops, microseconds left) {
    deadline_ = loops.RunAfter(front_stream_->loop(), left, [this] { OnDeadline(); });
  }

 private:
  class Front final : public h2::StreamHandler {
   public:
    explicit Front(ProxiedCall& call) : call_(call) {}
    void OnHead(h2::Fields, bool) override {}
    void OnData(h2::Chunk data) override {
      if (call_.back_stream_ != nullptr) return call_.back_stream_->Write(std::move(data));
      // Nobody wants it any more.
      call_.front_stream_->Consume(data.size());
    }
    void OnEnd(h2::Fields) override {
      if (call_.back_stream_ != nullptr) call_.back_stream_->End();
    }
    void OnSent(std::size_t bytes) override {
      if (call_.back_stream_ != nullptr) call_.back_stream_->Consume(bytes);
    }
    void OnClosed(h2::ErrorCode) override { call_.OnFrontClosed(); }

   private:
    ProxiedCall& call_;
  };

  class Back final : public h2::StreamHandler {
   public:
    explicit Back(ProxiedCall& call) : call_(call) {}
    void OnHead(h2::Fields head, bool end) override {
      call_.has_head_ = true;
      call_.has_ended_ = end;
      call_.front_stream_->SendHead(Down(std::move(head)), end);
    }
    void OnData(h2::Chunk data) override { call_.front_stream_->Write(std::move(data)); }
    void OnEnd(h2::Fields trailers) override {
      call_.has_ended_ = true;
      call_.front_stream_->End(Down(std::move(trailers)));
    }
    void OnSent(std::size_t bytes) override { call_.front_stream_->Consume(bytes); }
    void OnClosed(h2::ErrorCode code) override { call_.OnBackClosed(code); }

   private:
    ProxiedCall& call_;
  };

  void OnFrontClosed() {
    front_stream_ = nullptr;
    // The back has no handler after its reset.
    if (back_stream_ != nullptr) {
      back_stream_->Reset(has_ended_ ? h2::ErrorCode::kNoError : h2::ErrorCode::kCancel);
    }
    delete this;
  }

  void OnBackClosed(h2::ErrorCode code) {
    back_stream_ = nullptr;
    if (has_ended_) return;
    has_ended_ = true;
    Answer(code == h2::ErrorCode::kConnectionLost
               ? target_.Away()
               : absl::Status(h2::GrpcCodeOf(code), target_.label + " ended the call"));
  }

  void OnDeadline() {
    if (back_stream_ != nullptr)
      std::exchange(back_stream_, nullptr)->Reset(h2::ErrorCode::kCancel);
    if (has_ended_) return;
    has_ended_ = true;
    Answer(absl::DeadlineExceededError("Deadline Exceeded"));
  }

  void Answer(const absl::Status& status) {
    if (has_head_) {
      front_stream_->End(GrpcTrailers(status));
    } else {
      AnswerGrpcStatus(*front_stream_, status);
    }
  }

  const std::shared_ptr<const GrpcRules> rules_;
  const GrpcTarget& target_;
  Front front_;
  Back back_;
  // Null once they are over. While the back lives, so does the front.
  h2::Stream* front_stream_;
  h2::Stream* back_stream_ = nullptr;
  bool has_head_ = false;
  // The front has its answer.
  bool has_ended_ = false;
  std::shared_ptr<http::Cancelable> deadline_;
};

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
  if (local_.Handle(method, stream, head)) return;
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
  const std::string_view key = principal->empty()      ? ""
                               : head.Has("x-api-key") ? "x-api-key"
                                                       : "authorization";
  for (const h2::Fields::Field field : head) {
    if (PassesUp(field.name) && field.name != key) up.Add(field.name, field.value);
  }
  if (timeout) up.Add("grpc-timeout", h2::FormatGrpcTimeout(*timeout));
  if (!principal->empty()) {
    up.Add(rpc::kPrincipalKey, *principal);
    if (target.is_suite) up.Add(rpc::kPeerTokenKey, peer_auth_->token());
  }
  calls_.Increment();
  auto* const call = new ProxiedCall(stream, rules, target);
  if (timeout) call->SetDeadline(loops_, *timeout);
  call->Start(std::move(up), received, end);
}

}  // namespace penstock::gateway
