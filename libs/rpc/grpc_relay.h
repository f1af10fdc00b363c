// Passes a gRPC call on to another server, frame by frame, without knowing the messages.
#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <optional>
#include <string_view>

#include "absl/status/status.h"
#include "libs/h2/client.h"
#include "libs/h2/fields.h"
#include "libs/h2/stream.h"
#include "libs/http/event_loops.h"

namespace penstock::rpc {

// Where a call goes on to.
struct RelayTarget {
  h2::Client& client;
  // What the caller gets when there is no connection; on the call's loop.
  std::function<absl::Status()> away;
  // What the caller gets when the other server ended the call without a status: "the server".
  std::string_view label;
  // Whether a field of the answer's head or trailers goes to the caller; null: all do.
  bool (*passes_down)(std::string_view name) = nullptr;
};

struct RelayedRequest {
  h2::Fields head;
  // The body that has come so far, and whether it is all.
  std::string_view received;
  bool end = false;
  // After which the caller gets DEADLINE_EXCEEDED, whatever the other server does.
  std::optional<std::chrono::microseconds> timeout;
  // Kept until the call is over: what the target belongs to, where that may go before.
  std::shared_ptr<const void> owner;
};

// Every kind of call is a stream of bytes here; at most a window of them waits each way. `front` is
// the caller's stream: the relay sets its handler. On its loop; `target` (its label too), unless
// the request has an owner, and `loops` must outlive the call.
void RelayGrpc(http::EventLoops& loops, h2::Stream& front, const RelayTarget& target,
               RelayedRequest request);

}  // namespace penstock::rpc
