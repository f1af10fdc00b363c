#include "services/function-executor/api/invocation_stream.h"

#include <fmt/format.h>

#include <chrono>
#include <functional>
#include <utility>
#include <vector>

#include "libs/base/names.h"
#include "libs/base/status.h"
#include "libs/log/log.h"
#include "services/function-executor/api/batch.h"
#include "services/function-executor/api/convert.h"
#include "services/function-executor/api/delivery.h"
#include "services/function-executor/domain/classify.h"

namespace penstock::executor {
namespace {

namespace pb = internal::v1;

constexpr int kResultsMax = 256;
// Beyond it a message takes no further result; replies make them large.
constexpr std::size_t kMessageBytesMax = 512 * 1024;
// What a peer may send beyond its credit, all of it refused, before the stream is ended: refusals
// take memory too while they wait to be read.
constexpr std::size_t kBeyondCreditMax = 65'536;
constexpr std::size_t kBrokerBytesMax = 128;
// Calls of a stream that is over are cancelled, so a wait of this length says that one does not let
// go.
constexpr std::chrono::seconds kLongWait{10};

template <typename Message>
auto KeyOf(const Message& message) {
  return std::tuple<std::string, std::int32_t, std::int64_t>(message.delivery_id(),
                                                             message.attempt(), message.epoch());
}

}  // namespace

InvocationStream::InvocationStream(const InvocationParts& parts, std::shared_ptr<Server> server,
                                   bool draining)
    : parts_(parts),
      server_(std::move(server)),
      loop_(parts.loops.PickLoop()),
      draining_(draining) {}

InvocationStream::Server::Handlers InvocationStream::Handlers(std::function<void()> on_end) {
  const auto self = shared_from_this();
  Server::Handlers handlers;
  handlers.fill = [self](Response& message) { return self->Fill(message); };
  handlers.on_message = [self](Request& message) { self->OnMessage(message); };
  // A broker that sends no more still gets its results; then the stream ends.
  handlers.on_half_close = [self] {
    {
      const std::lock_guard lock(self->mutex_);
      self->half_closed_ = true;
      if (self->outstanding_ > 0) return;
    }
    self->server_->Finish(absl::OkStatus());
  };
  handlers.on_done = [self, on_end = std::move(on_end)](const absl::Status&) {
    self->OnEnd();
    on_end();
  };
  // The greeting.
  server_->Notify();
  return handlers;
}

bool InvocationStream::Fill(Response& message) {
  bool is_last = false;
  {
    const std::lock_guard lock(mutex_);
    if (!std::exchange(greeted_, true)) {
      message.set_instance(parts_.instance);
    }
    if (has_credit_ && !std::exchange(told_credit_, true)) message.set_credit(parts_.credit);
    if (draining_ && !std::exchange(told_draining_, true)) message.set_draining(true);
    std::size_t bytes = 0;
    while (!results_.empty() && message.results_size() < kResultsMax && bytes < kMessageBytesMax) {
      bytes += results_.front().ByteSizeLong();
      *message.add_results() = std::move(results_.front());
      results_.pop_front();
      --outstanding_;
    }
    is_last = half_closed_ && outstanding_ == 0;
  }
  // Closes once nothing is left to fill: after this message.
  if (is_last) server_->Finish(absl::OkStatus());
  return message.results_size() > 0 || message.credit() > 0 || message.draining() ||
         !message.instance().empty();
}

void InvocationStream::Enter(const std::string& broker) {
  if (broker.empty()) return GiveCredit();
  const auto ticket =
      parts_.fence.Enter(broker, [self = shared_from_this()] { self->GiveCredit(); });
  bool is_waiting = false;
  {
    const std::lock_guard lock(mutex_);
    broker_ = broker;
    ticket_ = ticket;
    is_waiting = !has_credit_;
  }
  if (!is_waiting) return;
  parts_.loops.RunAfter(loop_, kLongWait, [weak = weak_from_this()] {
    if (const auto self = weak.lock()) self->WarnOfWaiting();
  });
}

void InvocationStream::GiveCredit() {
  bool was_long = false;
  {
    const std::lock_guard lock(mutex_);
    has_credit_ = true;
    was_long = warned_of_waiting_;
  }
  if (was_long) log::Info("a stream of deliveries got its credit after a long wait");
  server_->Notify();
}

void InvocationStream::WarnOfWaiting() {
  {
    const std::lock_guard lock(mutex_);
    if (has_credit_ || ended_) return;
    warned_of_waiting_ = true;
  }
  log::Warn("a stream of deliveries waits for credit: calls of its broker's earlier streams run",
            {{"broker", broker_}, {"earlier_streams", parts_.fence.Ahead(broker_, ticket_)}});
}

void InvocationStream::OnMessage(Request& message) {
  if (!std::exchange(entered_, true)) {
    if (message.broker().size() > kBrokerBytesMax) {
      return server_->Finish(
          FieldError("broker", fmt::format("expected at most {} bytes", kBrokerBytesMax)));
    }
    Enter(message.broker());
  }
  auto taken = std::make_shared<Request>();
  std::vector<pb::Invocation> refused;
  std::size_t outstanding = 0;
  bool draining = false;
  {
    const std::lock_guard lock(mutex_);
    if (ended_) return;
    draining = draining_;
    const auto credit = static_cast<std::size_t>(has_credit_ ? parts_.credit : 0);
    for (pb::Invocation& invocation : *message.mutable_invocations()) {
      Key key = KeyOf(invocation);
      // The same attempt again: the result of the first is for both.
      if (calls_.contains(key)) continue;
      if (draining || outstanding_ >= credit) {
        refused.push_back(std::move(invocation));
      } else {
        calls_.emplace(std::move(key), nullptr);
        taken->add_invocations()->Swap(&invocation);
      }
      ++outstanding_;
    }
    taken->mutable_cancels()->Swap(message.mutable_cancels());
    outstanding = outstanding_;
  }
  if (outstanding > static_cast<std::size_t>(parts_.credit) + kBeyondCreditMax) {
    return server_->Finish(absl::ResourceExhaustedError(
        fmt::format("far more attempts than the credit of {} are in flight", parts_.credit)));
  }
  for (const pb::Invocation& invocation : refused) {
    Refuse(invocation, draining ? absl::UnavailableError("the executor is stopping")
                                : absl::ResourceExhaustedError(
                                      "the stream's credit is used up, or was not given yet"));
  }
  parts_.loops.Post(loop_, [self = shared_from_this(), taken] { self->Process(*taken); });
}

void InvocationStream::Process(const Request& message) {
  for (const pb::Invocation& invocation : message.invocations()) Start(invocation);
  for (const pb::InvocationCancel& cancel : message.cancels()) Cancel(cancel);
}

void InvocationStream::Start(const pb::Invocation& invocation) {
  const Key key = KeyOf(invocation);
  bool is_over = false;
  {
    const std::lock_guard lock(mutex_);
    is_over = ended_;
  }
  if (is_over) return Drop(key);
  if (!parts_.epochs.Admit(invocation.subscription(), invocation.epoch())) {
    return Refuse(invocation, absl::FailedPreconditionError(
                                  fmt::format("epoch {} of {} is over: another broker owns it now",
                                              invocation.epoch(), invocation.subscription())));
  }
  std::optional<AsyncRoute> route;
  auto order = ToOrder(invocation, &route);
  if (!order.ok()) return Refuse(invocation, order.status());
  const std::string space = order->space;
  const std::shared_ptr<const Batch> batch = order->batch;
  // Its result goes where the invocation says; a callback's goes nowhere.
  std::function<std::string(const Outcome&)> reply_of = ReplyOf;
  if (route) {
    reply_of = [route = *std::move(route)](const Outcome& outcome) {
      return ResultEvent(route, outcome);
    };
  } else if (invocation.purpose() == pb::Invocation::CALLBACK) {
    reply_of = [](const Outcome&) { return std::string(); };
  }
  const auto call = parts_.invoker.Invoke(
      *std::move(order), [self = shared_from_this(), key, space, batch,
                          reply_of = std::move(reply_of)](const InvokeResult& result) {
        self->OnResult(key, space, batch.get(), reply_of, result);
      });
  {
    const std::lock_guard lock(mutex_);
    const auto place = calls_.find(key);
    if (place != calls_.end()) place->second = call;
    is_over = ended_;
  }
  if (is_over) call->Cancel();
}

void InvocationStream::Cancel(const pb::InvocationCancel& cancel) {
  std::shared_ptr<Invoker::Call> call;
  {
    const std::lock_guard lock(mutex_);
    const auto found = calls_.find(KeyOf(cancel));
    // Not there: its result is on the way, and both have passed each other.
    if (found == calls_.end()) return;
    call = found->second;
  }
  if (call) call->Cancel();
}

void InvocationStream::OnResult(const Key& key, const std::string& space, const Batch* batch,
                                const std::function<std::string(const Outcome&)>& reply_of,
                                const InvokeResult& result) {
  pb::InvocationResult message;
  message.set_delivery_id(std::get<0>(key));
  message.set_attempt(std::get<1>(key));
  message.set_epoch(std::get<2>(key));
  if (!result.refusal.ok()) {
    FillResult(ClassifyRefusal(result.refusal), &message);
  } else {
    DeliveryVerdict verdict = Classify(result.outcome);
    if (batch != nullptr)
      verdict = FillFailed(*batch, result.outcome, std::move(verdict), &message);
    FillResult(verdict, &message);
    if (!result.execution_id.empty()) {
      message.set_execution(ResourceName{space, "executions", result.execution_id}.ToString());
    }
    *message.mutable_duration() = ToProto(result.duration);
    message.set_http_status(result.outcome.http_status);
    message.set_reply(reply_of(result.outcome));
  }
  Add(std::move(message), key);
}

void InvocationStream::Refuse(const pb::Invocation& invocation, const absl::Status& status) {
  pb::InvocationResult message;
  message.set_delivery_id(invocation.delivery_id());
  message.set_attempt(invocation.attempt());
  message.set_epoch(invocation.epoch());
  FillResult(ClassifyRefusal(status), &message);
  Add(std::move(message), KeyOf(invocation));
}

void InvocationStream::Add(pb::InvocationResult result, const Key& ended) {
  {
    const std::lock_guard lock(mutex_);
    calls_.erase(ended);
    if (!ended_) results_.push_back(std::move(result));
  }
  server_->Notify();
  LeaveIfOver();
}

void InvocationStream::Drop(const Key& key) {
  {
    const std::lock_guard lock(mutex_);
    calls_.erase(key);
  }
  LeaveIfOver();
}

void InvocationStream::LeaveIfOver() {
  {
    const std::lock_guard lock(mutex_);
    if (!ended_ || !calls_.empty() || ticket_ == 0 || std::exchange(left_, true)) return;
  }
  parts_.fence.Leave(broker_, ticket_);
}

void InvocationStream::OnEnd() {
  std::vector<std::shared_ptr<Invoker::Call>> calls;
  {
    const std::lock_guard lock(mutex_);
    ended_ = true;
    outstanding_ = 0;
    results_.clear();
    for (const auto& [key, call] : calls_) {
      if (call) calls.push_back(call);
    }
  }
  for (const auto& call : calls) call->Cancel();
  LeaveIfOver();
}

void InvocationStream::Drain() {
  {
    const std::lock_guard lock(mutex_);
    draining_ = true;
  }
  server_->Notify();
}

std::size_t InvocationStream::outstanding() const {
  const std::lock_guard lock(mutex_);
  return outstanding_;
}

void InvocationStream::Finish() { server_->Finish(absl::OkStatus()); }

}  // namespace penstock::executor
