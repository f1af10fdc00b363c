// A client's end of a bidirectional stream over a ByteStream.
#pragma once

#include <grpcpp/channel.h>
#include <grpcpp/support/byte_buffer.h>

#include <memory>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>

#include "libs/rpc/byte_stream.h"
#include "libs/rpc/stream_ends.h"

namespace penstock::rpc {

template <typename Out, typename In>
class ByteClient final : public ClientCarrier<Out> {
 public:
  // Null when the call has to go through gRPC: the channel has no such streams, the messages are
  // not known here, or the call asks for what such a stream does not have.
  static std::shared_ptr<ByteClient> Make(const std::shared_ptr<grpc::Channel>& channel,
                                          const std::string& method, const CallOptions& options,
                                          const std::shared_ptr<ClientEnd<In>>& end) {
    if constexpr (std::is_same_v<In, grpc::ByteBuffer>) {
      return nullptr;
    } else {
      if (options.HasLimit() || options.wait_for_ready) return nullptr;
      const auto streams = StreamsOf(channel);
      if (streams == nullptr) return nullptr;
      return std::make_shared<ByteClient>(
          streams->Make(method, options, std::make_shared<Events>(end)));
    }
  }

  explicit ByteClient(std::shared_ptr<ByteStream> stream) : stream_(std::move(stream)) {}

  void Start() override { stream_->Start(); }
  void Write(Out& message) override { stream_->Write(ToWire(message)); }
  bool PassNotify() override { return stream_->PassNotify(); }
  void CloseWrites(bool broken) override { stream_->CloseWrites(broken); }
  void Cancel() override { stream_->Cancel(); }

 private:
  class Events final : public ByteStreamEvents {
   public:
    explicit Events(std::shared_ptr<ClientEnd<In>> end) : end_(std::move(end)) {}
    bool OnBytes(std::string_view message) override {
      if (!incoming_.ParseFromArray(message.data(), static_cast<int>(message.size()))) return false;
      end_->OnMessage(incoming_);
      return true;
    }
    void OnReadsEnded() override { end_->OnReadsEnded(); }
    void OnWritten(bool ok) override { end_->OnWritten(ok); }
    void OnNotified() override { end_->OnNotified(); }
    void OnEnd(const absl::Status& status, const ResponseMetadata& metadata) override {
      end_->OnEnd(status, metadata);
    }

   private:
    const std::shared_ptr<ClientEnd<In>> end_;
    In incoming_;
  };

  const std::shared_ptr<ByteStream> stream_;
};

}  // namespace penstock::rpc
