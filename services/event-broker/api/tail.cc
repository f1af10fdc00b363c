#include "services/event-broker/api/tail.h"

#include <fmt/format.h>

#include <algorithm>
#include <memory>
#include <mutex>
#include <optional>
#include <utility>

#include "libs/base/status.h"
#include "services/event-broker/codec/dead_letter_codec.h"
#include "services/event-broker/domain/filter/type_pattern.h"

namespace penstock::broker {
namespace {

namespace pb = penstock::events::v1;
using Stream = rpc::ServerStream<pb::StoredEvent>;

class Tail : public std::enable_shared_from_this<Tail> {
 public:
  Tail(std::shared_ptr<Stream> stream, EventLog& log, WorkerPool& readers)
      : stream_(std::move(stream)), log_(log), readers_(readers) {}

  absl::Status Init(const PublishRules& rules, const pb::TailEventsRequest& request) {
    ASSIGN_OR_RETURN(space_, rules.ResolveSpace(request.space()));
    if (request.from_sequence() < 0) return FieldError("fromSequence", "must not be negative");
    if (!request.type().empty()) {
      ASSIGN_OR_RETURN(type_, TypePattern::Parse("type", request.type()));
    }
    source_ = request.source();
    next_ = request.from_sequence() > 0 ? static_cast<Sequence>(request.from_sequence())
                                        : log_.head() + 1;
    if (next_ < log_.horizon()) {
      return absl::OutOfRangeError(fmt::format(
          "fromSequence: {} is no longer kept: the oldest kept is {}", next_, log_.horizon()));
    }
    return absl::OkStatus();
  }

  void Begin() {
    listener_ = log_.OnHeadAdvanced([weak = weak_from_this()](Sequence) {
      if (const auto self = weak.lock()) self->Wake();
    });
    stream_->set_on_writable([self = shared_from_this()] { self->Wake(); });
    stream_->set_on_done(
        [self = shared_from_this()](const absl::Status&) { self->listener_.reset(); });
    Wake();
  }

 private:
  // One job at a time; a wake during a job makes it run again.
  void Wake() {
    {
      const std::lock_guard lock(mutex_);
      again_ = true;
      if (running_) return;
      running_ = true;
    }
    if (readers_.TryPost([self = shared_from_this()] { self->Work(); })) return;
    {
      const std::lock_guard lock(mutex_);
      running_ = false;
    }
    stream_->Finish(absl::ResourceExhaustedError("too many reads wait; try again"));
  }

  // One slice of the log, so that tails far behind take turns with other reads.
  void Work() {
    {
      const std::lock_guard lock(mutex_);
      again_ = false;
    }
    const bool more = SendSlice();
    {
      const std::lock_guard lock(mutex_);
      running_ = false;
      if (!more && !again_) return;
    }
    Wake();
  }

  // True when there may be more to send at once.
  bool SendSlice() {
    if (stream_->ended() || next_ > log_.head()) return false;
    ScanRequest scan;
    scan.from = next_;
    scan.filter.spaces = {space_};
    if (type_ && type_->exact()) scan.filter.types = {type_->text()};
    scan.filter.control_records = false;
    const auto result = log_.Scan(scan);
    if (!result.ok()) {
      stream_->Finish(result.status());
      return false;
    }
    for (const EventRecord& record : result->records) {
      if (!Send(record)) return false;
      next_ = record.sequence + 1;
    }
    next_ = std::max(next_, result->next);
    return true;
  }

  // False when the client has to catch up first: on_writable wakes this again.
  bool Send(const EventRecord& record) {
    const bool wanted = record.kind == RecordKind::kEvent && record.space == space_ &&
                        (!type_ || type_->Matches(record.type)) &&
                        (source_.empty() || record.source == source_);
    if (!wanted) return true;
    auto event = ToProto(record);
    return !event.ok() || stream_->Write(*std::move(event));
  }

  const std::shared_ptr<Stream> stream_;
  EventLog& log_;
  WorkerPool& readers_;
  std::string space_;
  std::optional<TypePattern> type_;
  std::string source_;
  std::unique_ptr<HeadListener> listener_;
  std::mutex mutex_;
  bool running_ = false;
  bool again_ = false;
  Sequence next_ = kNoSequence;  // Of the running job.
};

}  // namespace

grpc::ServerWriteReactor<pb::StoredEvent>* ServeTail(grpc::CallbackServerContext* context,
                                                     const pb::TailEventsRequest* request,
                                                     EventLog& log, const PublishRules& rules,
                                                     WorkerPool& readers) {
  return Stream::Serve(context, request, {},
                       [&](const pb::TailEventsRequest& given, std::shared_ptr<Stream> stream) {
                         auto tail = std::make_shared<Tail>(stream, log, readers);
                         const absl::Status status = tail->Init(rules, given);
                         status.ok() ? tail->Begin() : stream->Finish(status);
                       });
}

}  // namespace penstock::broker
