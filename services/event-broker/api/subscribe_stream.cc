#include "services/event-broker/api/subscribe_stream.h"

#include <algorithm>
#include <chrono>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "libs/base/names.h"
#include "libs/base/status.h"
#include "services/event-broker/codec/dead_letter_codec.h"
#include "services/event-broker/codec/time_codec.h"

namespace penstock::broker {
namespace {

namespace pb = penstock::events::v1;
using Stream = rpc::BidiServer<pb::SubscribeRequest, pb::SubscribeResponse>;

// Of one message of a stream: what a reaction can parse without holding up others.
constexpr std::size_t kMessageEventsMax = 64;
constexpr std::size_t kMessageBytesMax = 512u << 10;
constexpr std::size_t kPullBytesMax = 4u << 20;
constexpr int kPullEventsDefault = 32;
constexpr int kPullEventsMax = 256;
constexpr Microseconds kWaitDefault{10'000'000};
constexpr Microseconds kWaitMin{100'000};
constexpr Microseconds kWaitMax{25'000'000};
// An answer must leave so long before the caller stops waiting.
constexpr Microseconds kDeadlineMargin{200'000};

// False when the event cannot be read.
bool Fill(const std::string& space, const PulledEvent& pulled, pb::ReceivedEvent& message) {
  EventRecord record;
  record.sequence = pulled.sequence;
  record.append_time = pulled.append_time;
  record.space = space;
  record.body = pulled.event.view();
  auto event = ToProto(record);
  if (!event.ok()) return false;
  message.set_delivery_id(pulled.delivery_id);
  message.set_attempt(pulled.attempt);
  message.set_replay(pulled.replay);
  *message.mutable_event() = *std::move(event);
  return true;
}

// Puts what the consumer has waiting into `message`; what cannot be read is rejected.
template <typename Message>
void FillFrom(PullConsumer& consumer, const std::string& space, std::size_t events_max,
              std::size_t bytes_max, Message& message) {
  std::vector<PullRejection> unreadable;
  for (const PulledEvent& pulled : consumer.Take(events_max, bytes_max)) {
    if (Fill(space, pulled, *message.add_events())) continue;
    message.mutable_events()->RemoveLast();
    unreadable.push_back({pulled.delivery_id, Microseconds(0), "the event cannot be read"});
  }
  consumer.Reject(unreadable);
}

class SubscribeSession : public std::enable_shared_from_this<SubscribeSession> {
 public:
  SubscribeSession(std::shared_ptr<Stream> stream, PullConsumers& consumers)
      : stream_(std::move(stream)), consumers_(consumers) {}

  void Take(const pb::SubscribeRequest& message) {
    const absl::Status status = Follow(message);
    if (!status.ok()) stream_->Finish(status);
  }

  bool Fill(pb::SubscribeResponse& message) {
    const auto consumer = Joined();
    if (consumer == nullptr) return false;
    FillFrom(*consumer, space_, kMessageEventsMax, kMessageBytesMax, message);
    return message.events_size() > 0;
  }

  // What is out with it is delivered again.
  void Leave() {
    std::shared_ptr<PullConsumer> consumer;
    const std::lock_guard lock(mutex_);
    consumer.swap(consumer_);
  }

 private:
  std::shared_ptr<PullConsumer> Joined() {
    const std::lock_guard lock(mutex_);
    return consumer_;
  }

  absl::Status Join(const pb::SubscribeRequest& message) {
    ASSIGN_OR_RETURN(const ResourceName name,
                     ParseResourceName("subscription", "subscriptions", message.subscription()));
    PullConsumers::ConsumerHandlers handlers;
    handlers.on_ready = [weak = weak_from_this()] {
      if (const auto self = weak.lock()) self->stream_->Notify();
    };
    handlers.on_end = [weak = weak_from_this()](const absl::Status& status) {
      if (const auto self = weak.lock()) self->stream_->Finish(status);
    };
    ASSIGN_OR_RETURN(auto joined, consumers_.Join(message.subscription(),
                                                  {.renew_credit = message.renew_credit()},
                                                  std::move(handlers)));
    const std::lock_guard lock(mutex_);
    subscription_ = message.subscription();
    space_ = name.space;
    consumer_ = std::move(joined);
    return absl::OkStatus();
  }

  absl::Status Follow(const pb::SubscribeRequest& message) {
    if (subscription_.empty()) {
      RETURN_IF_ERROR(Join(message));
    } else if (!message.subscription().empty() && message.subscription() != subscription_) {
      return FieldError("subscription", "a stream is of one subscription");
    }
    std::vector<PullRejection> rejections;
    for (const pb::Nack& nack : message.nacks()) {
      ASSIGN_OR_RETURN(const Microseconds delay, FromProto("nacks.delay", nack.delay()));
      rejections.push_back({nack.delivery_id(), delay, nack.reason()});
    }
    const auto consumer = Joined();
    if (consumer == nullptr) return absl::OkStatus();  // It has left already.
    consumer->Acknowledge({message.acks().begin(), message.acks().end()});
    consumer->Reject(rejections);
    consumer->Extend({message.extends().begin(), message.extends().end()});
    return consumer->AddCredit(message.credit());
  }

  const std::shared_ptr<Stream> stream_;
  PullConsumers& consumers_;
  std::mutex mutex_;
  std::string subscription_;  // Written once, by the first message, and read by those after it.
  std::string space_;         // As `subscription_`, before `consumer_` is set.
  std::shared_ptr<PullConsumer> consumer_;
};

// One PullEvents call. Lives as long as its consumer's handlers and the call need it.
class Pull : public std::enable_shared_from_this<Pull> {
 public:
  Pull(pb::PullEventsResponse* answer, rpc::CallContext& call, rpc::ServerDone done,
       std::string space, std::size_t events_max)
      : answer_(answer),
        call_(call),
        space_(std::move(space)),
        events_max_(events_max),
        done_(std::move(done)) {}

  void Start(PullConsumers& consumers, const std::string& subscription, Microseconds wait) {
    PullConsumers::ConsumerHandlers handlers;
    // The call's end releases it, so it may keep itself alive until then.
    handlers.on_ready = [self = shared_from_this()] { self->OnReady(); };
    handlers.on_end = [self = shared_from_this()](const absl::Status& status) {
      self->End(absl::IsDeadlineExceeded(status) ? absl::OkStatus() : status);
    };
    auto joined = consumers.Join(subscription, {.wait = wait}, std::move(handlers));
    if (!joined.ok()) return End(joined.status());
    {
      const std::lock_guard lock(mutex_);
      consumer_ = *joined;
    }
    const absl::Status status = (*joined)->AddCredit(static_cast<std::int64_t>(events_max_));
    if (!status.ok()) return End(status);
    call_.cancellation()->Subscribe([weak = weak_from_this()] {
      if (const auto self = weak.lock()) self->End(absl::CancelledError("the caller is gone"));
    });
  }

 private:
  void OnReady() {
    std::shared_ptr<PullConsumer> consumer;
    std::optional<rpc::ServerDone> keep;  // Keeps `answer_` and `call_` valid.
    {
      const std::lock_guard lock(mutex_);
      keep = done_;
      consumer = consumer_;
    }
    if (!keep || consumer == nullptr) return;
    FillFrom(*consumer, space_, events_max_, kPullBytesMax, *answer_);
    if (answer_->events_size() == 0) return;
    // A caller that has gone acknowledges nothing: leaving gives its events to others at once.
    if (!call_.cancelled()) consumer->Detach();
    consumer.reset();
    End(absl::OkStatus());
  }

  void End(const absl::Status& status) {
    std::optional<rpc::ServerDone> done;
    std::shared_ptr<PullConsumer> consumer;
    {
      const std::lock_guard lock(mutex_);
      done.swap(done_);
      consumer.swap(consumer_);
    }
    consumer.reset();
    if (done) (*done)(status);
  }

  pb::PullEventsResponse* const answer_;
  rpc::CallContext& call_;
  const std::string space_;
  const std::size_t events_max_;
  std::mutex mutex_;
  std::optional<rpc::ServerDone> done_;  // Nothing once the call has ended.
  std::shared_ptr<PullConsumer> consumer_;
};

absl::StatusOr<Microseconds> WaitOf(const pb::PullEventsRequest& request,
                                    const rpc::CallContext& call) {
  Microseconds wait = kWaitDefault;
  if (request.has_wait()) {
    ASSIGN_OR_RETURN(wait, FromProto("wait", request.wait()));
    if (wait > kWaitMax) return FieldError("wait", "expected at most 25s");
  }
  if (call.deadline() != std::chrono::system_clock::time_point::max()) {
    const auto left = std::chrono::duration_cast<Microseconds>(call.deadline() -
                                                               std::chrono::system_clock::now());
    wait = std::min(wait, left - kDeadlineMargin);
  }
  return std::max(wait, kWaitMin);
}

}  // namespace

grpc::ServerBidiReactor<pb::SubscribeRequest, pb::SubscribeResponse>* ServeSubscribe(
    grpc::CallbackServerContext* context, PullConsumers& consumers) {
  return Stream::Serve(context, [&](std::shared_ptr<Stream> stream) {
    auto session = std::make_shared<SubscribeSession>(stream, consumers);
    Stream::Handlers handlers;
    handlers.fill = [session](pb::SubscribeResponse& message) { return session->Fill(message); };
    handlers.on_message = [session](pb::SubscribeRequest& message) { session->Take(message); };
    // Nothing can be acknowledged any more.
    handlers.on_half_close = [session, stream] {
      session->Leave();
      stream->Finish(absl::OkStatus());
    };
    handlers.on_done = [session](const absl::Status&) { session->Leave(); };
    return handlers;
  });
}

void ServePull(const pb::PullEventsRequest& request, pb::PullEventsResponse* answer,
               rpc::CallContext& call, const rpc::ServerDone& done, PullConsumers& consumers) {
  const auto name = ParseResourceName("subscription", "subscriptions", request.subscription());
  if (!name.ok()) return done(name.status());
  if (request.max_events() < 0 || request.max_events() > kPullEventsMax) {
    return done(FieldError("maxEvents", "expected 1 to 256"));
  }
  const auto wait = WaitOf(request, call);
  if (!wait.ok()) return done(wait.status());
  const int events_max = request.max_events() == 0 ? kPullEventsDefault : request.max_events();
  std::make_shared<Pull>(answer, call, done, name->space, static_cast<std::size_t>(events_max))
      ->Start(consumers, request.subscription(), *wait);
}

}  // namespace penstock::broker
