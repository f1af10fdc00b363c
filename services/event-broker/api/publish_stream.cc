#include "services/event-broker/api/publish_stream.h"

#include <deque>
#include <memory>
#include <mutex>
#include <utility>
#include <vector>

#include "libs/base/status.h"

namespace penstock::broker {
namespace {

namespace pb = penstock::events::v1;

// What one stream may have without a receipt. Beyond it events are refused, never left unread.
constexpr std::size_t kEventsMax = 4096;
constexpr std::size_t kBytesMax = 16u << 20;
constexpr int kReceiptsPerMessage = 1024;
// A client that sends but does not read its receipts is cut off.
constexpr std::size_t kReceiptsMax = 65'536;

class PublishSession : public std::enable_shared_from_this<PublishSession> {
 public:
  PublishSession(std::shared_ptr<PublishStreamServer> stream, EventLog& log,
                 ScheduleIntake& schedule, const PublishRules& rules, const Clock& clock)
      : stream_(std::move(stream)), log_(log), schedule_(schedule), rules_(rules), clock_(clock) {}

  // All events of a message go to the log in one piece, in their order; those that are published
  // later go to the schedule.
  void Take(pb::PublishStreamRequest& message) {
    Part now;
    Part later;
    std::vector<CheckedEvent> scheduled;
    std::vector<AppendRequest> requests;
    std::vector<pb::PublishReceipt> refused;
    const WallTime time = clock_.Wall();
    for (pb::PublishStreamEntry& entry : *message.mutable_entries()) {
      auto event = CheckEvent(rules_, entry.space(), time, *entry.mutable_event());
      if (event.ok() && !Reserve(event->append.body.size())) {
        event = WithRetryAfter(
            absl::ResourceExhaustedError("too many events of this stream wait for their receipts"),
            absl::Seconds(1));
      }
      if (!event.ok()) {
        refused.push_back(MakeRefusal(entry.event().id(), event.status()));
        refused.back().set_correlation_id(entry.correlation_id());
        continue;
      }
      Part& part = event->due ? later : now;
      part.bytes += event->append.body.size();
      part.entries.push_back({entry.correlation_id(), event->append.id});
      if (event->due) {
        scheduled.push_back(*std::move(event));
      } else {
        requests.push_back(std::move(event->append));
      }
    }
    if (!refused.empty()) Answer(std::move(refused), 0, 0);
    if (!requests.empty()) Append(std::move(requests), std::move(now));
    if (!scheduled.empty()) Schedule(std::move(scheduled), std::move(later));
  }

  bool Fill(pb::PublishStreamResponse& message) {
    const std::lock_guard lock(mutex_);
    while (!receipts_.empty() && message.receipts_size() < kReceiptsPerMessage) {
      message.add_receipts()->Swap(&receipts_.front());
      receipts_.pop_front();
    }
    return message.receipts_size() > 0;
  }

  // The client sends no more; the stream ends once everything has its receipt.
  void HalfClose() {
    bool finish = false;
    {
      const std::lock_guard lock(mutex_);
      half_closed_ = true;
      finish = events_ == 0;
    }
    if (finish) stream_->Finish(absl::OkStatus());
  }

 private:
  struct Entry {
    std::int64_t correlation_id = 0;
    std::string id;
  };
  // Events of one message that get their receipts together.
  struct Part {
    std::vector<Entry> entries;
    std::size_t bytes = 0;
  };

  bool Reserve(std::size_t bytes) {
    const std::lock_guard lock(mutex_);
    if (events_ >= kEventsMax || (events_ > 0 && bytes_ + bytes > kBytesMax)) return false;
    ++events_;
    bytes_ += bytes;
    return true;
  }

  void Append(std::vector<AppendRequest> requests, Part part) {
    auto shared = std::make_shared<Part>(std::move(part));
    const absl::Status queued =
        log_.Append(std::move(requests),
                    [self = shared_from_this(), shared](const std::vector<AppendResult>& results) {
                      std::vector<pb::PublishReceipt> receipts;
                      receipts.reserve(results.size());
                      for (std::size_t i = 0; i < results.size(); ++i) {
                        receipts.push_back(MakeReceipt(std::move(shared->entries[i].id), results[i],
                                                       self->log_.durability()));
                      }
                      self->AnswerPart(*shared, std::move(receipts));
                    });
    if (queued.ok()) return;
    std::vector<pb::PublishReceipt> receipts;
    for (Entry& entry : shared->entries) {
      receipts.push_back(MakeRefusal(std::move(entry.id), queued));
    }
    AnswerPart(*shared, std::move(receipts));
  }

  void Schedule(std::vector<CheckedEvent> events, Part part) {
    auto shared = std::make_shared<Part>(std::move(part));
    schedule_.Take(std::move(events),
                   [self = shared_from_this(), shared](ScheduleIntake::Receipts receipts) {
                     self->AnswerPart(*shared, std::move(receipts));
                   });
  }

  void AnswerPart(const Part& part, std::vector<pb::PublishReceipt> receipts) {
    for (std::size_t i = 0; i < receipts.size(); ++i) {
      receipts[i].set_correlation_id(part.entries[i].correlation_id);
    }
    const std::size_t count = receipts.size();
    Answer(std::move(receipts), count, part.bytes);
  }

  void Answer(std::vector<pb::PublishReceipt> receipts, std::size_t events, std::size_t bytes) {
    bool finish = false;
    bool unread = false;
    {
      const std::lock_guard lock(mutex_);
      for (pb::PublishReceipt& receipt : receipts) receipts_.push_back(std::move(receipt));
      unread = receipts_.size() > kReceiptsMax;
      events_ -= events;
      bytes_ -= bytes;
      finish = half_closed_ && events_ == 0;
    }
    if (unread) {
      return stream_->Finish(absl::ResourceExhaustedError("the receipts are not read"));
    }
    stream_->Notify();
    if (finish) stream_->Finish(absl::OkStatus());
  }

  const std::shared_ptr<PublishStreamServer> stream_;
  EventLog& log_;
  ScheduleIntake& schedule_;
  const PublishRules& rules_;
  const Clock& clock_;
  std::mutex mutex_;
  std::deque<pb::PublishReceipt> receipts_;
  std::size_t events_ = 0;
  std::size_t bytes_ = 0;
  bool half_closed_ = false;
};

}  // namespace

PublishStreamServer::Handlers ServePublishStream(std::shared_ptr<PublishStreamServer> stream,
                                                 EventLog& log, ScheduleIntake& schedule,
                                                 const PublishRules& rules, const Clock& clock) {
  auto session = std::make_shared<PublishSession>(std::move(stream), log, schedule, rules, clock);
  PublishStreamServer::Handlers handlers;
  handlers.fill = [session](pb::PublishStreamResponse& message) { return session->Fill(message); };
  handlers.on_message = [session](pb::PublishStreamRequest& message) { session->Take(message); };
  handlers.on_half_close = [session] { session->HalfClose(); };
  return handlers;
}

}  // namespace penstock::broker
