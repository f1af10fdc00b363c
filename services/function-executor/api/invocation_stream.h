// One broker's stream of deliveries.
#pragma once

#include <penstock/internal/v1/invocation.pb.h>

#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <tuple>

#include "libs/http/event_loops.h"
#include "libs/rpc/bidi_server.h"
#include "services/function-executor/domain/broker_fence.h"
#include "services/function-executor/domain/epoch_guard.h"
#include "services/function-executor/domain/invoker.h"

namespace penstock::executor {

// What all streams share. Everything outlives them.
struct InvocationParts {
  Invoker& invoker;
  EpochGuard& epochs;
  BrokerFence& fence;
  http::EventLoops& loops;
  std::string instance;
  // Deliveries that one stream may have in flight.
  int credit = 256;
};

// Takes attempts, gives results. Credit is the answer to the broker's first message; it waits while
// something of the broker's earlier streams may still run. A message is only read on the gRPC
// thread: its attempts are started on an event loop, always the same one, so that cancels come
// after what they cancel. Lives as long as the stream or a call of it. Thread-safe.
class InvocationStream : public std::enable_shared_from_this<InvocationStream> {
 public:
  using Request = internal::v1::InvokeStreamRequest;
  using Response = internal::v1::InvokeStreamResponse;
  using Server = rpc::BidiServer<Request, Response>;

  // `draining` is what the stream says from the beginning.
  InvocationStream(const InvocationParts& parts, std::shared_ptr<Server> server, bool draining);

  // The handlers for the stream's server; they keep this object alive. `on_end` runs when the
  // stream is over and its calls are given up.
  Server::Handlers Handlers(std::function<void()> on_end);

  // Tells the broker to send nothing new; what comes nevertheless is REJECTED.
  void Drain();
  // Attempts whose results the broker does not have yet.
  std::size_t outstanding() const;
  // Ends the stream once all results are written.
  void Finish();

 private:
  // Delivery, attempt, epoch.
  using Key = std::tuple<std::string, std::int32_t, std::int64_t>;

  bool Fill(Response& message);
  void OnMessage(Request& message);
  void OnEnd();
  // On the first message.
  void Enter(const std::string& broker);
  void GiveCredit();
  void WarnOfWaiting();
  // Tells the fence, once, when the stream is over and its last call has ended. Without the lock.
  void LeaveIfOver();
  // On the loop.
  void Process(const Request& message);
  void Start(const internal::v1::Invocation& invocation);
  void Cancel(const internal::v1::InvocationCancel& cancel);
  void OnResult(const Key& key, const std::string& space, const Batch* batch,
                const std::function<std::string(const Outcome&)>& reply_of,
                const InvokeResult& result);
  // Answers without a call.
  void Refuse(const internal::v1::Invocation& invocation, const absl::Status& status);
  void Add(internal::v1::InvocationResult result, const Key& ended);
  // A call that will give no result: the stream is over.
  void Drop(const Key& key);

  const InvocationParts parts_;
  const std::shared_ptr<Server> server_;
  const int loop_;

  mutable std::mutex mutex_;
  bool greeted_ = false;
  bool entered_ = false;
  bool has_credit_ = false;
  bool told_credit_ = false;
  bool warned_of_waiting_ = false;
  bool left_ = false;
  std::string broker_;  // Set once, before credit is given; as is `ticket_`.
  BrokerFence::Ticket ticket_ = 0;
  bool draining_;
  bool told_draining_ = false;
  bool half_closed_ = false;
  bool ended_ = false;
  std::size_t outstanding_ = 0;
  // What runs, also after the stream's end; null while it is being started.
  std::map<Key, std::shared_ptr<Invoker::Call>> calls_;
  std::deque<internal::v1::InvocationResult> results_;
};

}  // namespace penstock::executor
