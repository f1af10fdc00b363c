// A client's end of a bidirectional stream to a server in this process, without gRPC.
#pragma once

#include <grpcpp/channel.h>
#include <grpcpp/impl/codegen/proto_utils.h>
#include <grpcpp/support/byte_buffer.h>

#include <memory>
#include <string>
#include <type_traits>
#include <utility>

#include "libs/rpc/bidi_server.h"
#include "libs/rpc/call_gate.h"
#include "libs/rpc/call_options.h"
#include "libs/rpc/direct_link.h"
#include "libs/rpc/stream_ends.h"

namespace penstock::rpc {

template <typename Out, typename In, typename Wire>
class DirectClient final : public ClientCarrier<Out> {
 public:
  // Null when the call has to go through gRPC.
  static std::shared_ptr<DirectClient> Make(const std::shared_ptr<grpc::Channel>& channel,
                                            const std::string& method, const CallOptions& options,
                                            const std::shared_ptr<ClientEnd<In>>& end) {
    if constexpr (std::is_same_v<Wire, grpc::ByteBuffer> || std::is_same_v<In, grpc::ByteBuffer>) {
      return nullptr;  // The types of the messages are not known here.
    } else {
      if (options.HasLimit()) return nullptr;
      const CallStart start(channel);
      if (start.direct() == nullptr) return nullptr;
      const auto* accept = start.direct()->template Find<Wire, In>(method);
      if (accept == nullptr) return nullptr;
      auto link = std::make_shared<DirectLink<Wire, In>>(start.direct()->calls());
      // From here on the server's stop waits for the call, and what is accepted stays.
      if (!start.direct()->calls()->Add(link.get(), link)) return nullptr;
      return std::make_shared<DirectClient>(std::move(link), *accept, MetadataOf(options), end);
    }
  }

  DirectClient(std::shared_ptr<DirectLink<Wire, In>> link,
               const DirectMethods::Accept<Wire, In>& accept, MetadataList metadata,
               const std::shared_ptr<ClientEnd<In>>& end)
      : link_(std::move(link)), accept_(accept), metadata_(std::move(metadata)), end_(end) {}

  void Start() override {
    BidiServer<Wire, In>::ServeDirect(link_, std::move(metadata_), end_.lock(), accept_);
  }
  void Write(Out& message) override {
    if constexpr (std::is_same_v<Out, Wire>) {
      link_->WriteUp(message);
    } else {
      // The buffer is emptied by this.
      if (grpc::GenericDeserialize<grpc::ProtoBufferReader, Wire>(&message, &parsed_).ok()) {
        return link_->WriteUp(parsed_);
      }
      link_->Cancel();
      if (const auto end = end_.lock()) end->OnWritten(false);
    }
  }
  void CloseWrites(bool broken) override { link_->CloseClient(broken); }
  void Cancel() override { link_->Cancel(); }

 private:
  const std::shared_ptr<DirectLink<Wire, In>> link_;
  const DirectMethods::Accept<Wire, In>& accept_;
  MetadataList metadata_;
  const std::weak_ptr<ClientEnd<In>> end_;
  Wire parsed_;
};

}  // namespace penstock::rpc
