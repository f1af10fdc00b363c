// A client's bidirectional stream that carries serialized messages over something else than gRPC's
// library.
#pragma once

#include <google/protobuf/message_lite.h>
#include <grpcpp/channel.h>
#include <grpcpp/support/byte_buffer.h>

#include <memory>
#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "libs/h2/chunk.h"
#include "libs/rpc/call_options.h"
#include "libs/rpc/metadata.h"

namespace penstock::rpc {

// A message with the prefix that precedes it on the wire (h2/grpc_wire.h).
h2::Chunk ToWire(const google::protobuf::MessageLite& message);
h2::Chunk ToWire(const grpc::ByteBuffer& message);

// What a byte stream tells its owner; as ClientEnd, but for the form of a message. None is called
// inside another of these.
class ByteStreamEvents {
 public:
  // False when the message cannot be read: the stream is then ended.
  virtual bool OnBytes(std::string_view message) = 0;
  virtual void OnReadsEnded() = 0;
  virtual void OnWritten(bool ok) = 0;
  virtual void OnNotified() = 0;
  virtual void OnEnd(const absl::Status& status, const ResponseMetadata& metadata) = 0;

 protected:
  ~ByteStreamEvents() = default;
};

// As ClientCarrier. Thread-safe.
class ByteStream {
 public:
  virtual ~ByteStream() = default;
  virtual void Start() = 0;
  virtual void Write(h2::Chunk message) = 0;
  virtual bool PassNotify() = 0;
  virtual void CloseWrites(bool broken) = 0;
  virtual void Cancel() = 0;
};

// Makes streams to one server. Thread-safe.
class ByteStreams {
 public:
  virtual ~ByteStreams() = default;
  // `events` are kept until OnEnd.
  virtual std::shared_ptr<ByteStream> Make(const std::string& method, const CallOptions& options,
                                           std::shared_ptr<ByteStreamEvents> events) = 0;
};

// The same channel, whose bidirectional streams BidiClient makes by `streams`.
std::shared_ptr<grpc::Channel> WithStreams(std::shared_ptr<grpc::Channel> channel,
                                           std::shared_ptr<ByteStreams> streams);
// What WithStreams gave the channel, or null.
std::shared_ptr<ByteStreams> StreamsOf(const std::shared_ptr<grpc::Channel>& channel);

}  // namespace penstock::rpc
