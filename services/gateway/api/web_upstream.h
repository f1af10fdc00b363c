// The call that a web client's call becomes: one message up, and messages down at the pace at which
// they are taken.
#pragma once

#include <chrono>
#include <memory>
#include <optional>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "libs/http/event_loops.h"
#include "libs/rpc/metadata.h"
#include "libs/webrpc/connect.h"
#include "services/gateway/api/grpc_targets.h"
#include "services/gateway/api/user_services.h"

namespace penstock::gateway {

// What is called.
struct UpstreamRequest {
  // "acme.v1.Users/Get".
  std::string method;
  // Serialized.
  std::string message;
  // The principal among it, and what only services may send.
  rpc::MetadataList metadata;
  std::optional<std::chrono::microseconds> timeout;
};

// Hears how a call goes; on its loop, never inside Start… and not after Cancel.
class WebUpstreamEvents {
 public:
  virtual ~WebUpstreamEvents() = default;
  // The head of the answer; not when there is nothing but a status.
  virtual void OnHead(webrpc::MetadataText head) = 0;
  // Next() has news.
  virtual void OnReadable() = 0;
  // The status is there, after the last message: Next() may still have messages. Once.
  virtual void OnEnd(webrpc::Outcome outcome, webrpc::MetadataText trailers) = 0;
};

// A running call; on its loop only.
class WebUpstreamCall {
 public:
  virtual ~WebUpstreamCall() = default;
  // The next message when it is there. Asking for it lets the server send more.
  virtual std::optional<std::string> Next() = 0;
  // What is wrong with the messages that came, once Next() has none and the call has ended.
  virtual absl::Status Check() const = 0;
  virtual void Cancel() = 0;
};

// Calls over HTTP/2 frames, as the gRPC port does. On a loop. `target` must outlive the call.
std::shared_ptr<WebUpstreamCall> StartTargetCall(const GrpcTarget& target, UpstreamRequest request,
                                                 std::shared_ptr<WebUpstreamEvents> events);

// Calls a user's service over one of its channels. On loop `loop` of `loops`. UNAVAILABLE when it
// has no channel.
absl::StatusOr<std::shared_ptr<WebUpstreamCall>> StartServiceCall(
    http::EventLoops& loops, int loop, const UserMethod& service, UpstreamRequest request,
    std::shared_ptr<WebUpstreamEvents> events);

// An error as the end of a call.
webrpc::Outcome OutcomeOf(const absl::Status& status);

}  // namespace penstock::gateway
