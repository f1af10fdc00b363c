#include "services/gateway/broker/publish_lane.h"

#include <fmt/format.h>
#include <penstock/events/v1/broker.pb.h>

#include <utility>
#include <vector>

#include "libs/base/status.h"
#include "libs/log/log.h"
#include "libs/rpc/bidi_client.h"
#include "services/gateway/broker/publish_encoder.h"

namespace penstock::gateway {
namespace {

namespace pb = penstock::events::v1;
using Client =
    rpc::BidiClient<grpc::ByteBuffer, pb::PublishStreamResponse, pb::PublishStreamRequest>;

constexpr char kMethod[] = "/penstock.events.v1.EventBrokerService/PublishStream";
constexpr int kSendsMax = 2;
// Messages that are not full may be under way at a time: one that the broker writes, one that it
// has next.
constexpr int kSmallMessagesMax = 2;
constexpr std::chrono::milliseconds kReconnectDelay{200};
constexpr std::chrono::milliseconds kDeadlineCheck{100};

log::Every& StreamLog() {
  static log::Every every(std::chrono::seconds(10));
  return every;
}

// True when gRPC says that no connection was there, so nothing can have left.
bool IsUnreachable(const absl::Status& status) {
  const auto message = std::string_view(status.message().data(), status.message().size());
  return status.code() == absl::StatusCode::kUnavailable &&
         (message.starts_with("failed to connect") || message.starts_with("connections to all"));
}

absl::Status Unreachable(const std::string& address, const absl::Status& cause) {
  return WithReason(
      absl::UnavailableError(fmt::format("the event-broker at {} cannot be reached: {}", address,
                                         std::string(cause.message()))),
      "SERVICE_UNAVAILABLE", {{"service", "event-broker"}});
}

absl::Status OutcomeUnknown(std::string_view why) {
  return WithReason(
      absl::UnavailableError(fmt::format(
          "OUTCOME_UNKNOWN: retry with the same id: the event-broker gave no receipt ({})", why)),
      "OUTCOME_UNKNOWN", {{"service", "event-broker"}});
}

// What a receipt's error says; a message that names a field becomes a violation again.
absl::Status RefusalOf(const pb::PublishReceipt& receipt) {
  const auto code = static_cast<absl::StatusCode>(receipt.error_code());
  const std::string& message = receipt.error_message();
  absl::Status status(code, message);
  if (code == absl::StatusCode::kInvalidArgument) {
    const std::size_t colon = message.find(": ");
    const std::string_view field = std::string_view(message).substr(0, colon);
    if (colon != std::string::npos && field.find(' ') == std::string_view::npos) {
      status = FieldError(field, std::string_view(message).substr(colon + 2));
    }
  }
  if (code == absl::StatusCode::kResourceExhausted)
    status = WithRetryAfter(status, absl::Seconds(1));
  if (!receipt.error_reason().empty()) status = WithReason(status, receipt.error_reason());
  return status;
}

PublishResult ResultOf(const pb::PublishReceipt& receipt) {
  PublishResult result;
  if (receipt.error_code() != 0) {
    result.status = RefusalOf(receipt);
    return result;
  }
  result.sequence = receipt.sequence();
  result.duplicate = receipt.status() == pb::PublishReceipt::DUPLICATE;
  result.scheduled = receipt.status() == pb::PublishReceipt::SCHEDULED;
  result.content_differs = receipt.content_differs();
  if (receipt.has_due_time()) {
    result.due = FromUnixMicros(receipt.due_time().seconds() * 1'000'000 +
                                receipt.due_time().nanos() / 1'000);
  }
  return result;
}

// A buffer that owns the string, so that the bytes are copied no more.
grpc::ByteBuffer BufferOf(std::string bytes) {
  auto* const owned = new std::string(std::move(bytes));
  const grpc::Slice slice(
      owned->data(), owned->size(), [](void* data) { delete static_cast<std::string*>(data); },
      owned);
  return grpc::ByteBuffer(&slice, 1);
}

}  // namespace

PublishMetrics::PublishMetrics(metrics::Registry& registry)
    : waiting(registry.Gauge("penstock_gateway_publish_queue_events",
                             "Events that have no receipt yet.")),
      streams(registry.Counter("penstock_gateway_publish_streams_total",
                               "Publish streams opened to the event-broker.")),
      resent(registry.Counter("penstock_gateway_publish_resent_total",
                              "Events sent again because a stream broke.")),
      refused(registry.Counter("penstock_gateway_publish_refused_total",
                               "Requests refused because too much waited for receipts.")),
      unknown(registry.Counter("penstock_gateway_publish_unknown_total",
                               "Events whose outcome is not known.")) {}

// What the loop and the stream's callbacks share of one stream.
struct PublishLane::Stream {
  bool Fill(grpc::ByteBuffer& message) {
    PublishEncoder::Message next;
    {
      const std::lock_guard lock(mutex);
      if (encoder.empty()) return false;
      if (!encoder.HasFull()) {
        // What comes while the broker writes the messages before would only wait there: it goes out
        // together when their receipts come.
        if (small_messages_left == 0) return false;
        --small_messages_left;
      }
      next = encoder.Take();
      sent_end = next.end;
    }
    message = BufferOf(std::move(next.bytes));
    return true;
  }

  // Receipts have come; true when something has waited for them.
  bool Renew() {
    const std::lock_guard lock(mutex);
    small_messages_left = kSmallMessagesMax;
    return !encoder.empty();
  }

  std::mutex mutex;
  PublishEncoder encoder;
  int small_messages_left = kSmallMessagesMax;
  // The correlation id after the last that was handed over.
  std::int64_t sent_end = 0;

  // Of the loop.
  std::shared_ptr<Client> client;
  bool has_answered = false;
};

PublishLane::PublishLane(const Env& env) : env_(env), timeout_(env.timeout), window_(env.limits) {}
PublishLane::~PublishLane() = default;

absl::Status PublishLane::Publish(const std::string& space, std::span<PublishOrder> orders) {
  if (stopping_) return absl::UnavailableError("the gateway is stopping");
  std::size_t bytes = 0;
  for (const PublishOrder& order : orders) bytes += order.event.size();
  if (!window_.TryReserve(space, orders.size(), bytes)) {
    env_.metrics.refused.Increment();
    return WithRetryAfter(
        absl::ResourceExhaustedError("too many events wait for the event-broker: retry later"),
        absl::Seconds(1));
  }
  const MonotonicTime deadline = env_.clock.Monotonic() + timeout_;
  std::unique_lock<std::mutex> lock;
  if (stream_ != nullptr) lock = std::unique_lock(stream_->mutex);
  for (PublishOrder& order : orders) {
    const std::int64_t id = first_ + static_cast<std::int64_t>(slots_.size());
    if (stream_ != nullptr) stream_->encoder.Add(id, space, order.event);
    slots_.push_back({space, std::move(order.event), std::move(order.done), deadline});
  }
  if (lock.owns_lock()) lock.unlock();
  waiting_ += orders.size();
  env_.metrics.waiting.Add(static_cast<double>(orders.size()));
  if (!flush_posted_) {
    // Whatever else this turn of the loop brings goes out in the same message.
    flush_posted_ = true;
    env_.loops.Post(env_.loop, [self = shared_from_this()] { self->Flush(); });
  }
  return absl::OkStatus();
}

void PublishLane::Flush() {
  flush_posted_ = false;
  WatchDeadlines();
  if (stream_ != nullptr) {
    stream_->client->Notify();
  } else if (!retry_pending_) {
    OpenStream();
  }
}

void PublishLane::OpenStream() {
  if (stopping_ || waiting_ == 0) return;
  auto channel = env_.channel.Get();
  const auto stream = std::make_shared<Stream>();
  stream_ = stream;
  if (!channel.ok()) return OnStreamEnd(*stream, channel.status());
  for (std::size_t i = 0; i < slots_.size(); ++i) {
    const Slot& slot = slots_[i];
    if (slot.answered) continue;
    if (slot.sends > 0) env_.metrics.resent.Increment();
    stream->encoder.Add(first_ + static_cast<std::int64_t>(i), slot.space, slot.event);
  }
  {
    const std::lock_guard lock(end_mutex_);
    ++open_streams_;
  }
  env_.metrics.streams.Increment();
  const auto self = shared_from_this();
  Client::Handlers handlers;
  handlers.fill = [stream](grpc::ByteBuffer& message) { return stream->Fill(message); };
  handlers.on_message = [self, stream](pb::PublishStreamResponse& message) {
    auto receipts = std::make_shared<pb::PublishStreamResponse>();
    receipts->Swap(&message);
    self->env_.loops.Post(self->env_.loop,
                          [self, stream, receipts] { self->OnReceipts(*stream, receipts.get()); });
  };
  handlers.on_done = [self, stream](const absl::Status& status, const rpc::ResponseMetadata&) {
    self->env_.loops.Post(self->env_.loop, [self, stream, status] {
      stream->client.reset();
      self->OnStreamEnd(*stream, status);
    });
    const std::lock_guard lock(self->end_mutex_);
    --self->open_streams_;
    self->ended_.notify_all();
  };
  stream->client = Client::Start(*channel, kMethod, {}, std::move(handlers));
  stream->client->Notify();
}

void PublishLane::OnReceipts(const Stream& from, const void* message) {
  if (stream_.get() != &from) return;
  stream_->has_answered = true;
  for (const pb::PublishReceipt& receipt :
       static_cast<const pb::PublishStreamResponse*>(message)->receipts()) {
    const std::int64_t index = receipt.correlation_id() - first_;
    if (index < 0 || index >= static_cast<std::int64_t>(slots_.size())) continue;
    Slot& slot = slots_[static_cast<std::size_t>(index)];
    if (!slot.answered) Answer(slot, ResultOf(receipt));
  }
  DropAnswered();
  if (stream_.get() == &from && stream_->Renew()) stream_->client->Notify();
}

void PublishLane::OnStreamEnd(const Stream& from, const absl::Status& status) {
  if (stream_.get() != &from) return;
  const std::shared_ptr<Stream> ended = std::exchange(stream_, nullptr);
  const bool unreachable = !ended->has_answered && (ended->sent_end == 0 || IsUnreachable(status));
  if (!stopping_) {
    log::Warn(StreamLog(), "the publish stream ended",
              {{"address", env_.channel.address()}, {"error", status}, {"waiting", waiting_}});
  }
  for (std::size_t i = 0; i < slots_.size(); ++i) {
    Slot& slot = slots_[i];
    const std::int64_t id = first_ + static_cast<std::int64_t>(i);
    if (!slot.answered) Keeps(slot, id < ended->sent_end, unreachable, status);
  }
  DropAnswered();
  if (waiting_ == 0) return;
  if (unreachable) {
    RetryLater();
  } else {
    OpenStream();
  }
}

// Whether the event goes on to the next stream; else it gets its result here.
bool PublishLane::Keeps(Slot& slot, bool was_sent, bool unreachable, const absl::Status& status) {
  PublishResult result;
  if (unreachable) {
    if (slot.sends > 0) return true;
    result.status = Unreachable(env_.channel.address(), status);
  } else {
    if (was_sent) ++slot.sends;
    if (slot.sends < kSendsMax) return true;
    result.status = OutcomeUnknown(std::string(status.message()));
    env_.metrics.unknown.Increment();
  }
  Answer(slot, result);
  return false;
}

void PublishLane::RetryLater() {
  if (retry_pending_ || stopping_) return;
  retry_pending_ = true;
  env_.loops.RunAfter(env_.loop, kReconnectDelay, [self = shared_from_this()] {
    self->retry_pending_ = false;
    if (self->stream_ == nullptr) self->OpenStream();
  });
}

void PublishLane::Answer(Slot& slot, const PublishResult& result) {
  slot.answered = true;
  window_.Release(slot.space, slot.event.size());
  --waiting_;
  env_.metrics.waiting.Add(-1);
  // Moved out first: what it holds may end here.
  PublishDone done = std::move(slot.done);
  std::string().swap(slot.event);
  done(result);
}

void PublishLane::DropAnswered() {
  while (!slots_.empty() && slots_.front().answered) {
    slots_.pop_front();
    ++first_;
  }
}

void PublishLane::WatchDeadlines() {
  if (watching_deadlines_ || waiting_ == 0) return;
  watching_deadlines_ = true;
  env_.loops.RunAfter(env_.loop, kDeadlineCheck, [self = shared_from_this()] {
    self->watching_deadlines_ = false;
    self->ExpireOld();
    self->WatchDeadlines();
  });
}

void PublishLane::ExpireOld() {
  const MonotonicTime now = env_.clock.Monotonic();
  // Deadlines rise with the correlation ids.
  for (std::size_t i = 0; i < slots_.size() && slots_[i].deadline <= now; ++i) {
    if (slots_[i].answered) continue;
    env_.metrics.unknown.Increment();
    Answer(slots_[i], {.status = OutcomeUnknown("it took too long")});
  }
  DropAnswered();
}

void PublishLane::FailAll(const absl::Status& status) {
  for (Slot& slot : slots_) {
    if (!slot.answered) Answer(slot, {.status = status});
  }
  DropAnswered();
}

void PublishLane::Stop() {
  env_.loops.RunAndWait(env_.loop, [this] {
    stopping_ = true;
    const std::shared_ptr<Stream> stream = std::exchange(stream_, nullptr);
    if (stream != nullptr && stream->client != nullptr) {
      stream->client->WritesDone();
      stream->client->Cancel();
    }
    FailAll(OutcomeUnknown("the gateway is stopping"));
  });
  std::unique_lock lock(end_mutex_);
  ended_.wait(lock, [this] { return open_streams_ == 0; });
}

}  // namespace penstock::gateway
