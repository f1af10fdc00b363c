// The half of an exchange that knows gRPC, and messages as gRPC's bytes.
#pragma once

#include <grpcpp/support/byte_buffer.h>

#include <condition_variable>
#include <deque>
#include <memory>
#include <mutex>
#include <optional>
#include <string>

#include "absl/status/status.h"
#include "libs/rpc/bidi_client.h"
#include "tools/penstock/client/exchange.h"

namespace penstock::cli {

grpc::ByteBuffer EncodeBytes(const google::protobuf::Message& message);
std::string DecodeBytes(const grpc::ByteBuffer& buffer);

// What the callback threads and the waiting thread share; lives as long as either uses it.
struct Exchange::Call {
  using Stream = rpc::BidiClient<grpc::ByteBuffer, grpc::ByteBuffer>;

  // `method` is "/package.Service/Method".
  static std::shared_ptr<Call> Start(const std::shared_ptr<grpc::Channel>& channel,
                                     const std::string& method, const rpc::CallOptions& options);

  std::shared_ptr<Stream> stream;
  std::mutex mutex;
  std::condition_variable changed;
  std::deque<grpc::ByteBuffer> outgoing;
  std::deque<std::string> answers;
  std::size_t bytes = 0;  // Of `answers`.
  bool overflowed = false;
  std::optional<absl::Status> end;
};

}  // namespace penstock::cli
