#include "services/gateway/api/grpc_proxy.h"

#include <grpcpp/generic/generic_stub.h>

#include <array>
#include <chrono>
#include <map>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "libs/base/status.h"
#include "libs/rpc/call_gate.h"
#include "libs/rpc/metadata.h"
#include "libs/rpc/status.h"

namespace penstock::gateway {
namespace {

// Metadata that belongs to one connection, that gRPC writes itself, or that only services may send.
bool PassesUp(std::string_view key) {
  constexpr std::array<std::string_view, 6> kOwn = {
      "user-agent", "te", "content-type", "host", rpc::kPeerTokenKey, rpc::kPrincipalKey};
  if (key.starts_with("grpc-") || key.starts_with(":")) return false;
  for (const std::string_view own : kOwn) {
    if (key == own) return false;
  }
  return true;
}

bool PassesDown(std::string_view key) {
  return !key.starts_with("grpc-") && !key.starts_with(":") && key != "content-type";
}

std::string_view View(grpc::string_ref text) { return {text.data(), text.size()}; }

std::string_view Find(const std::multimap<grpc::string_ref, grpc::string_ref>& metadata,
                      const char* key) {
  const auto found = metadata.find(key);
  return found == metadata.end() ? std::string_view() : View(found->second);
}

// Ends a call before it begins.
class Refusal final : public grpc::ServerGenericBidiReactor {
 public:
  explicit Refusal(const grpc::Status& status) { Finish(status); }
  void OnDone() override { delete this; }
};

// A call on its way through. Both reactors are members and keep the object alive until their
// OnDone. The mutex orders the reactions of the two sides; the front's OnDone takes no lock, as
// Finish may run it.
//
// The back is held twice: for writes, which start in reactions of the front, and for reads, so that
// its end is not reported before its last message was passed on. The front is finished at the
// back's end only.
//
// The back is read from the start of the call: in process, an answer that comes with its status is
// dropped when no read is waiting for it. What is read before the metadata waits for that.
class ProxiedCall : public std::enable_shared_from_this<ProxiedCall> {
 public:
  ProxiedCall(grpc::GenericCallbackServerContext* context, const Backends& backends,
              Backend backend)
      : front_context_(context),
        backends_(backends),
        backend_(backend),
        front_(*this),
        back_(*this) {}

  grpc::ClientContext& back_context() { return back_context_; }
  grpc::ServerGenericBidiReactor* front() { return &front_; }

  void Start(const std::shared_ptr<grpc::Channel>& channel) {
    self_front_ = shared_from_this();
    self_back_ = shared_from_this();
    std::optional<rpc::CallStart> start(std::in_place, channel);
    grpc::GenericStub(start->channel())
        .PrepareBidiStreamingCall(&back_context_, front_context_->method(), grpc::StubOptions(),
                                  &back_);
    start.reset();
    back_.AddMultipleHolds(2);
    const std::lock_guard lock(mutex_);
    back_.StartRead(&down_);
    back_.StartCall();
    front_.StartRead(&up_);
  }

 private:
  class Front final : public grpc::ServerGenericBidiReactor {
   public:
    explicit Front(ProxiedCall& call) : call_(call) {}
    void OnReadDone(bool ok) override { call_.OnFrontRead(ok); }
    void OnWriteDone(bool ok) override { call_.OnFrontWritten(ok); }
    void OnCancel() override { call_.back_context_.TryCancel(); }
    void OnDone() override { const auto last = std::move(call_.self_front_); }

   private:
    ProxiedCall& call_;
  };

  class Back final : public grpc::ClientBidiReactor<grpc::ByteBuffer, grpc::ByteBuffer> {
   public:
    explicit Back(ProxiedCall& call) : call_(call) {}
    void OnReadInitialMetadataDone(bool ok) override { call_.OnBackMetadata(ok); }
    void OnReadDone(bool ok) override { call_.OnBackRead(ok); }
    void OnWriteDone(bool ok) override { call_.OnBackWritten(ok); }
    void OnDone(const grpc::Status& status) override {
      const auto last = std::move(call_.self_back_);
      call_.OnBackDone(status);
    }

   private:
    ProxiedCall& call_;
  };

  void OnFrontRead(bool ok) {
    const std::lock_guard lock(mutex_);
    if (!writes_held_) return;
    if (ok) {
      back_.StartWrite(&up_);
      return;
    }
    // The client has said everything.
    back_.StartWritesDone();
    ReleaseWrites();
  }

  void OnBackWritten(bool ok) {
    const std::lock_guard lock(mutex_);
    if (!writes_held_) return;
    if (ok) {
      front_.StartRead(&up_);
    } else {
      ReleaseWrites();
    }
  }

  void OnBackMetadata(bool ok) {
    const std::lock_guard lock(mutex_);
    if (ok) {
      for (const auto& [key, value] : back_context_.GetServerInitialMetadata()) {
        if (!PassesDown(View(key))) continue;
        front_context_->AddInitialMetadata(std::string(View(key)), std::string(View(value)));
      }
      front_.StartSendInitialMetadata();
    }
    metadata_passed_ = true;
    if (early_read_) PassOn(*early_read_);
  }

  void OnBackRead(bool ok) {
    const std::lock_guard lock(mutex_);
    if (!metadata_passed_) {
      early_read_ = ok;
      return;
    }
    PassOn(ok);
  }

  // The result of a read. Requires the mutex.
  void PassOn(bool ok) {
    if (ok) {
      front_.StartWrite(&down_);
      return;
    }
    // The service has ended the call, whatever the client still sends.
    ReleaseWrites();
    back_.RemoveHold();
  }

  void OnFrontWritten(bool ok) {
    const std::lock_guard lock(mutex_);
    if (!ok) back_context_.TryCancel();
    back_.StartRead(&down_);
  }

  void OnBackDone(const grpc::Status& status) {
    const std::lock_guard lock(mutex_);
    for (const auto& [key, value] : back_context_.GetServerTrailingMetadata()) {
      if (!PassesDown(View(key))) continue;
      front_context_->AddTrailingMetadata(std::string(View(key)), std::string(View(value)));
    }
    const bool is_lost = status.error_code() == grpc::StatusCode::UNAVAILABLE;
    front_.Finish(is_lost
                      ? rpc::ToGrpcStatus(backends_.Named(backend_, rpc::FromGrpcStatus(status)))
                      : status);
  }

  // Requires the mutex.
  void ReleaseWrites() {
    if (!std::exchange(writes_held_, false)) return;
    back_.RemoveHold();
  }

  // Valid until the front's OnDone.
  grpc::GenericCallbackServerContext* const front_context_;
  const Backends& backends_;
  const Backend backend_;
  grpc::ClientContext back_context_;
  Front front_;
  Back back_;
  grpc::ByteBuffer up_;
  grpc::ByteBuffer down_;
  std::mutex mutex_;
  bool writes_held_ = true;
  bool metadata_passed_ = false;
  // The first read's result when it came before the metadata.
  std::optional<bool> early_read_;
  std::shared_ptr<ProxiedCall> self_front_;
  std::shared_ptr<ProxiedCall> self_back_;
};

}  // namespace

GrpcProxy::GrpcProxy(Backends& backends, const Authenticator& authenticator,
                     std::shared_ptr<const rpc::PeerAuth> peer_auth, metrics::Registry& registry)
    : backends_(backends),
      authenticator_(authenticator),
      peer_auth_(std::move(peer_auth)),
      calls_(registry.Counter("penstock_gateway_grpc_calls_total", "gRPC calls passed on.")),
      refused_(registry.Counter("penstock_gateway_grpc_refused_total",
                                "gRPC calls refused: unknown methods, missing keys.")) {}

grpc::ServerGenericBidiReactor* GrpcProxy::CreateReactor(
    grpc::GenericCallbackServerContext* context) {
  const auto refuse = [this](const absl::Status& status) {
    refused_.Increment();
    return new Refusal(rpc::ToGrpcStatus(status));
  };
  const auto backend = OwnerOf(context->method());
  if (!backend) return refuse(absl::UnimplementedError("Unknown method"));
  const auto& metadata = context->client_metadata();
  const auto principal =
      authenticator_.Check(Find(metadata, "authorization"), Find(metadata, "x-api-key"));
  if (!principal.ok()) return refuse(principal.status());
  const auto channel = backends_.channel(*backend).Get();
  if (!channel.ok()) return refuse(backends_.Named(*backend, channel.status()));

  const auto call = std::make_shared<ProxiedCall>(context, backends_, *backend);
  grpc::ClientContext& back = call->back_context();
  for (const auto& [key, value] : metadata) {
    if (PassesUp(View(key))) back.AddMetadata(std::string(View(key)), std::string(View(value)));
  }
  if (!principal->empty()) {
    back.AddMetadata(rpc::kPrincipalKey, *principal);
    peer_auth_->Attach(back);
  }
  if (context->deadline() != std::chrono::system_clock::time_point::max()) {
    back.set_deadline(context->deadline());
  }
  calls_.Increment();
  call->Start(*channel);
  return call->front();
}

}  // namespace penstock::gateway
