#include "services/gateway/api/pull_answer.h"

#include <fmt/format.h>
#include <penstock/events/v1/broker.pb.h>

#include <algorithm>
#include <charconv>
#include <chrono>
#include <deque>
#include <mutex>
#include <optional>
#include <utility>
#include <vector>

#include "libs/base/status.h"
#include "libs/cloudevents/json_format.h"
#include "libs/protojson/status_json.h"
#include "libs/rpc/bidi_client.h"

namespace penstock::gateway {
namespace {

namespace pb = penstock::events::v1;
using Client = rpc::BidiClient<pb::SubscribeRequest, pb::SubscribeResponse>;

constexpr char kMethod[] = "/penstock.events.v1.EventBrokerService/Subscribe";
constexpr std::int32_t kCreditMax = 1024;
// An error that comes sooner is answered as one; a stream that has nothing to say for so long has
// begun.
constexpr std::chrono::milliseconds kHeadDelay{200};
// Comments keep proxies from closing a stream that is quiet, and notice clients that are gone.
constexpr std::chrono::seconds kHeartbeat{15};

class PullAnswer : public std::enable_shared_from_this<PullAnswer> {
 public:
  PullAnswer(PullOrder order, const Backends& backends)
      : order_(std::move(order)), backends_(backends) {}

  void Start(const std::shared_ptr<grpc::Channel>& channel) {
    const auto self = shared_from_this();
    Client::Handlers handlers;
    handlers.fill = [self](pb::SubscribeRequest& message) { return self->Fill(message); };
    handlers.on_message = [self](pb::SubscribeResponse& message) { self->OnMessage(message); };
    handlers.on_done = [self](const absl::Status& status, const rpc::ResponseMetadata&) {
      self->order_.call->Post([self, status] { self->OnEnd(status); });
    };
    client_ = Client::Start(channel, kMethod, order_.options, std::move(handlers));
    draining_id_ = Draining()->Subscribe([weak = weak_from_this()] {
      if (const auto answer = weak.lock()) answer->client_->Cancel();
    });
    client_->Notify();
    timer_ = order_.call->env().loops.RunAfter(order_.call->loop(), kHeadDelay,
                                               [self] { self->StartHead(); });
  }

 private:
  // Events of one message, and what to acknowledge once they are written.
  struct Chunk {
    std::string text;
    std::vector<std::string> delivery_ids;
  };

  // On a gRPC thread, or on the loop.
  bool Fill(pb::SubscribeRequest& message) {
    const std::lock_guard lock(mutex_);
    if (!std::exchange(joined_, true)) {
      message.set_subscription(order_.subscription);
      message.set_credit(order_.choices.credit);
      message.set_renew_credit(true);
      return true;
    }
    for (; !written_.empty(); written_.pop_front()) message.add_acks(std::move(written_.front()));
    for (; !unreadable_.empty(); unreadable_.pop_front()) {
      pb::Nack* nack = message.add_nacks();
      nack->set_delivery_id(std::move(unreadable_.front()));
      nack->set_reason("the event has no JSON form");
    }
    return message.acks_size() + message.nacks_size() > 0;
  }

  // On a gRPC thread, one at a time.
  void OnMessage(const pb::SubscribeResponse& message) {
    Chunk chunk;
    bool unreadable = false;
    for (const pb::ReceivedEvent& received : message.events()) {
      const auto& event = received.event().event();
      const auto json = cloudevents::ToJson(event);
      if (!json.ok()) {
        const std::lock_guard lock(mutex_);
        unreadable_.push_back(received.delivery_id());
        unreadable = true;
        continue;
      }
      chunk.text += PullFrame(received.delivery_id(), event.type(), *json);
      chunk.delivery_ids.push_back(received.delivery_id());
    }
    if (unreadable) client_->Notify();
    order_.call->Post([self = shared_from_this(), chunk = std::move(chunk)]() mutable {
      self->StartHead();
      self->chunks_.push_back(std::move(chunk));
      self->WriteNext();
    });
  }

  // One chunk at a time: what waits is bounded by the broker, which lets so many bytes be out.
  void WriteNext() {
    if (ended_ || writing_ || chunks_.empty()) return;
    writing_ = true;
    Chunk chunk = std::move(chunks_.front());
    chunks_.pop_front();
    order_.call->exchange().Write(
        std::move(chunk.text),
        [self = shared_from_this(), ids = std::move(chunk.delivery_ids)](
            const absl::Status& status) mutable { self->OnWritten(status, std::move(ids)); });
  }

  void OnWritten(const absl::Status& status, std::vector<std::string> ids) {
    writing_ = false;
    if (end_) return Conclude(*end_);
    if (!status.ok()) return client_->Cancel();
    if (order_.choices.auto_ack) {
      {
        const std::lock_guard lock(mutex_);
        for (std::string& id : ids) written_.push_back(std::move(id));
      }
      client_->Notify();
    }
    WriteNext();
  }

  void StartHead() {
    if (ended_ || std::exchange(started_, true)) return;
    http::Headers headers;
    headers.Set("Content-Type", "text/event-stream");
    headers.Set("Cache-Control", "no-store");
    order_.call->StartStream(200, std::move(headers));
    Beat();
  }

  void Beat() {
    timer_ = order_.call->env().loops.RunAfter(
        order_.call->loop(), kHeartbeat, [self = shared_from_this()] {
          if (self->ended_) return;
          self->Beat();
          // While events are on their way nobody doubts that the stream lives.
          if (self->writing_) return;
          self->order_.call->exchange().Write(": \n\n", [self](const absl::Status& status) {
            if (!status.ok()) self->client_->Cancel();
          });
        });
  }

  void OnEnd(const absl::Status& status) {
    Draining()->Unsubscribe(draining_id_);
    // What is being written may leave no room for the reason of the end.
    if (writing_) {
      end_ = status;
    } else {
      Conclude(status);
    }
  }

  void Conclude(const absl::Status& status) {
    if (timer_ != nullptr) timer_->Cancel();
    const absl::Status named = backends_.Named(Backend::kEventBroker, status);
    if (!started_ && !named.ok()) {
      ended_ = true;
      return order_.call->Fail(named);
    }
    StartHead();
    if (timer_ != nullptr) timer_->Cancel();
    ended_ = true;
    if (!named.ok()) {
      order_.call->exchange().Write(
          fmt::format("event: error\ndata: {}\n\n", protojson::StatusToJson(named)), {});
    }
    order_.call->exchange().End();
  }

  const std::shared_ptr<rpc::Cancellation>& Draining() const {
    return order_.call->env().tracker.draining();
  }

  PullOrder order_;
  const Backends& backends_;
  std::shared_ptr<Client> client_;
  std::mutex mutex_;
  bool joined_ = false;
  std::deque<std::string> written_;
  std::deque<std::string> unreadable_;
  // Of the call's loop.
  std::deque<Chunk> chunks_;
  bool writing_ = false;
  // The call's, while events are being written.
  std::optional<absl::Status> end_;
  bool started_ = false;
  bool ended_ = false;
  std::shared_ptr<http::Cancelable> timer_;
  std::uint64_t draining_id_ = 0;
};

absl::Status SetChoice(std::string_view name, std::string_view value, PullChoices& choices) {
  if (name == "credit") {
    const char* end = value.data() + value.size();
    const auto [stop, error] = std::from_chars(value.data(), end, choices.credit);
    if (error != std::errc() || stop != end || choices.credit < 1 || choices.credit > kCreditMax) {
      return FieldError("credit", "expected 1 to 1024");
    }
    return absl::OkStatus();
  }
  if (name == "auto_ack" || name == "autoAck") {
    if (value != "true" && value != "false") return FieldError(name, "expected true or false");
    choices.auto_ack = value == "true";
    return absl::OkStatus();
  }
  return FieldError(name, "is not known here: expected credit or auto_ack");
}

}  // namespace

absl::StatusOr<PullChoices> ParsePullQuery(std::string_view query) {
  PullChoices choices;
  while (!query.empty()) {
    const std::string_view pair = query.substr(0, query.find('&'));
    query.remove_prefix(std::min(pair.size() + 1, query.size()));
    if (pair.empty()) continue;
    const std::size_t equals = std::min(pair.find('='), pair.size());
    const std::string_view value = pair.substr(std::min(equals + 1, pair.size()));
    RETURN_IF_ERROR(SetChoice(pair.substr(0, equals), value, choices));
  }
  return choices;
}

std::string PullFrame(std::string_view delivery_id, std::string_view type, std::string_view json) {
  return fmt::format("id: {}\nevent: {}\ndata: {}\n\n", delivery_id, type, json);
}

void AnswerWithPull(const std::shared_ptr<grpc::Channel>& channel, PullOrder order,
                    const Backends& backends) {
  std::make_shared<PullAnswer>(std::move(order), backends)->Start(channel);
}

}  // namespace penstock::gateway
