#include "libs/rpc/call_gate.h"

#include <grpcpp/create_channel.h>

#include <mutex>
#include <utility>

#include "libs/base/ids.h"

namespace penstock::rpc {
namespace {

// The deleter of a gated channel: keeps the channel, and is found again through the shared_ptr.
struct GatedChannel {
  std::shared_ptr<grpc::Channel> channel;
  std::shared_ptr<CallGate> gate;
  void operator()(grpc::Channel*) { channel.reset(); }
};

// Nobody listens there, so every call fails at once with UNAVAILABLE, on a callback thread as calls
// do.
const std::shared_ptr<grpc::Channel>& UnavailableChannel() {
  static const auto& channel = *new std::shared_ptr<grpc::Channel>(grpc::CreateChannel(
      "unix-abstract:penstock-server-stopped-" + RandomHex(8), grpc::InsecureChannelCredentials()));
  return channel;
}

}  // namespace

void CallGate::Shut() {
  const std::unique_lock lock(mutex_);
  shut_ = true;
}

std::shared_ptr<grpc::Channel> WithGate(std::shared_ptr<grpc::Channel> channel,
                                        std::shared_ptr<CallGate> gate) {
  grpc::Channel* const raw = channel.get();
  return {raw, GatedChannel{std::move(channel), std::move(gate)}};
}

CallStart::CallStart(const std::shared_ptr<grpc::Channel>& channel) : channel_(channel) {
  const GatedChannel* const gated = std::get_deleter<GatedChannel>(channel);
  if (gated == nullptr) return;
  gate_ = gated->gate;
  lock_ = std::shared_lock(gate_->mutex_);
  if (!gate_->shut_) {
    direct_ = gate_->direct_;
    return;
  }
  lock_.unlock();
  channel_ = UnavailableChannel();
}

}  // namespace penstock::rpc
