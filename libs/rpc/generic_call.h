// Calls with messages whose types are known only at run time, for transcoding.
#pragma once

#include <google/protobuf/message.h>
#include <grpcpp/channel.h>

#include <cstdint>
#include <functional>
#include <memory>
#include <string>

#include "absl/status/status.h"
#include "libs/rpc/call_options.h"

namespace penstock::rpc {

// Called exactly once, on a callback thread, under the callback guard. On OK the response message
// is filled.
using GenericDone = std::function<void(absl::Status, const ResponseMetadata&)>;

// A unary call of "/package.Service/Method". Both messages are shared with the call until `done`
// ran.
void GenericCall(const std::shared_ptr<grpc::Channel>& channel, const std::string& method,
                 std::shared_ptr<const google::protobuf::Message> request,
                 std::shared_ptr<google::protobuf::Message> response, const CallOptions& options,
                 GenericDone done);

// The messages that the client sends on a stream, one at a time; null after the last one.
using GenericRequests = std::function<std::unique_ptr<google::protobuf::Message>()>;

struct GenericStreamHandlers {
  // Called before the first message, unless the call failed before the server said anything. May be
  // empty.
  std::function<void(const ResponseMetadata&)> on_head;
  // Called for each message, one at a time. The message is reused: copy or swap out what is kept.
  std::function<void(google::protobuf::Message&)> on_message;
  // The last callback, exactly once.
  GenericDone on_done;
};

// A streaming call of any kind that reads as fast as its owner asks. Thread-safe.
class GenericStream {
 public:
  // Starts the call with no credit, and sends what `requests` gives as fast as the server takes it.
  static std::shared_ptr<GenericStream> Start(const std::shared_ptr<grpc::Channel>& channel,
                                              const std::string& method, GenericRequests requests,
                                              std::unique_ptr<google::protobuf::Message> message,
                                              const CallOptions& options,
                                              GenericStreamHandlers handlers);

  // Sends `request` and starts the call with no credit. Messages are parsed into `message`. The
  // call lives until on_done, whether or not the returned handle is kept.
  static std::shared_ptr<GenericStream> Start(const std::shared_ptr<grpc::Channel>& channel,
                                              const std::string& method,
                                              const google::protobuf::Message& request,
                                              std::unique_ptr<google::protobuf::Message> message,
                                              const CallOptions& options,
                                              GenericStreamHandlers handlers);

  virtual ~GenericStream() = default;

  // Allows `count` more messages. The end of the stream is seen only while there is credit (or
  // after Cancel): keep at least one.
  virtual void Request(std::int64_t count) = 0;
  // Ends the call with CANCELLED; messages on the way are dropped. Idempotent.
  virtual void Cancel() = 0;
};

}  // namespace penstock::rpc
