#include "services/event-broker/storage/segment_log_impl.h"

#include <fmt/format.h>
#include <pthread.h>

#include <algorithm>

#include "libs/base/callback_guard.h"
#include "libs/base/status.h"

namespace penstock::broker {

class SegmentLog::Impl::Listener final : public HeadListener {
 public:
  Listener(Impl& log, std::uint64_t key) : log_(log), key_(key) {}
  ~Listener() override {
    const std::lock_guard lock(log_.listeners_mutex_);
    log_.listeners_.erase(key_);
  }

 private:
  Impl& log_;
  const std::uint64_t key_;
};

SegmentLog::Impl::Impl(SegmentLogOptions options, const Clock& clock,
                       std::unique_ptr<Folder> folder)
    : options_(std::move(options)),
      clock_(clock),
      folder_(std::move(folder)),
      cache_(options_.cache_bytes_max),
      reader_(segments_, cache_, lost_, head_),
      dedup_(options_.dedup_entries_max, options_.dedup_window),
      queue_(options_.queue_events_max, options_.queue_bytes_max),
      scrubber_(*folder_, segments_, lost_, clock_,
                {.interval = options_.scrub_interval,
                 .note = [this](const std::string& sentence) { Note(sentence); }}) {}

SegmentLog::Impl::~Impl() { Stop(); }

absl::Status SegmentLog::Impl::Start() {
  ASSIGN_OR_RETURN(RecoveredLog recovered, RecoverLog(*folder_, segments_, lost_, notes_));
  for (const std::string& sentence : notes_.sentences) Note(sentence);
  reader_.UseIndexKey(IndexKeyOf(recovered.log_id));
  head_ = recovered.position.next_sequence - 1;
  writer_ = std::make_unique<SegmentWriter>(*folder_, segments_, lost_, recovered.log_id,
                                            options_.segment_bytes, options_.set_aside_bytes,
                                            std::move(recovered.position));
  committer_ = std::make_unique<Committer>(*writer_, dedup_, dedup_key_, cache_, gate_, clock_,
                                           options_.record_bytes_max);
  if (recovered.read_only) {
    SetState(State::kReadOnly,
             WithReason(absl::UnavailableError("the event log's folder cannot be written"),
                        kReasonReadOnly));
  } else {
    const absl::Status reserved = TakeReserve();
    if (absl::IsResourceExhausted(reserved)) {
      EnterFailure(reserved);
    } else {
      RETURN_IF_ERROR(reserved);
    }
  }
  RETURN_IF_ERROR(ApplyFloor(recovered.read_only));
  RETURN_IF_ERROR(FillDedup());
  if (options_.own_thread) thread_ = std::thread([this] { Run(); });
  return absl::OkStatus();
}

absl::Status SegmentLog::Impl::ApplyFloor(bool read_only) {
  const Sequence floor = options_.sequence_floor;
  if (floor <= head()) return absl::OkStatus();
  lost_.Add({head() + 1, floor, options_.folder, "acknowledged before and missing at the end"});
  Note(fmt::format("sequences {} to {} were given out before and are missing at the end of the log",
                   head() + 1, floor));
  head_ = floor;
  if (read_only) return absl::OkStatus();
  const absl::Status skipped = writer_->SkipTo(floor);
  // On a full disk the first append that finds space begins the new segment.
  return absl::IsResourceExhausted(skipped) ? absl::OkStatus() : skipped;
}

absl::Status SegmentLog::Impl::FillDedup() {
  const WallTime wall = clock_.Wall();
  const MonotonicTime now = clock_.Monotonic();
  const Sequence last = head();
  ASSIGN_OR_RETURN(Sequence from,
                   reader_.FirstAtOrAfter(ToUnixMicros(wall - options_.dedup_window)));
  const bool too_many = last + 1 - std::min(from, last + 1) > options_.dedup_entries_max;
  if (too_many) from = last + 1 - options_.dedup_entries_max;
  // Retention may have taken a part of the window too.
  const bool cut = too_many || (from > 1 && from == reader_.horizon());
  bool first = true;
  int failures = 0;
  while (from <= last) {
    const auto result = reader_.Scan({.from = from,
                                      .to = last,
                                      .events_max = 16'384,
                                      .bytes_max = 8u << 20,
                                      .filter = {.control_records = false}});
    // What cannot be read for good is passed in the end.
    if (!result.ok() && ++failures <= LogReader::kReadsMax) continue;
    RETURN_IF_ERROR(result.status());
    for (const EventRecord& record : result->records) {
      if (!IsDeduplicated(record.kind, record.id)) continue;
      const auto age = std::max(Microseconds(0), wall - record.append_time);
      dedup_.Advance(now - age);
      if (cut && first) dedup_.CoverOnlySince(now - age);
      first = false;
      const Hash128 hash = DedupHash(dedup_key_, record.space, record.source, record.id);
      // An id is stored twice when its entry went early; the first one stands.
      if (dedup_.Find(hash) == nullptr) {
        dedup_.Insert({hash, record.sequence, record.content_hash});
      }
    }
    from = result->next;
    failures = 0;
  }
  dedup_.Advance(now);
  dedup_entries_ = dedup_.entries();
  dedup_window_micros_ = dedup_.window_kept().count();
  return absl::OkStatus();
}

absl::Status SegmentLog::Impl::Append(std::vector<AppendRequest> requests, AppendDone done) {
  {
    const std::lock_guard lock(state_mutex_);
    const bool probe = state_ == State::kDiskFull && clock_.Monotonic() >= probe_at_;
    if (state_ != State::kWritable && !probe) return status_;
  }
  AppendCall call{.requests = std::move(requests), .done = std::move(done)};
  for (const AppendRequest& request : call.requests) call.bytes += EncodedBytes(request);
  return queue_.Push(std::move(call));
}

void SegmentLog::Impl::Run() {
  pthread_setname_np(pthread_self(), "log-writer");
  while (true) {
    std::vector<AppendCall> calls = queue_.Take(options_.batch_bytes_max, /*wait=*/true);
    if (calls.empty()) return;
    CommitCalls(std::move(calls));
  }
}

bool SegmentLog::Impl::Pump() {
  std::vector<AppendCall> calls = queue_.Take(options_.batch_bytes_max, /*wait=*/false);
  if (calls.empty()) return false;
  CommitCalls(std::move(calls));
  return true;
}

void SegmentLog::Impl::CommitCalls(std::vector<AppendCall> calls) {
  Committer::Outcome outcome;
  {
    const std::lock_guard lock(commit_mutex_);
    if (absl::Status usable = CheckWritable(); !usable.ok()) {
      for (const AppendCall& call : calls) {
        outcome.results.emplace_back(
            call.requests.size(),
            AppendResult{.verdict = AppendVerdict::kFailed, .status = usable});
      }
    } else {
      outcome =
          committer_->Commit(calls, [this](const absl::Status& why) { return FailureFor(why); });
      if (!outcome.status.ok()) EnterFailure(outcome.status);
      if (outcome.head != kNoSequence) Publish(outcome.head);
      dedup_entries_ = dedup_.entries();
      dedup_window_micros_ = dedup_.window_kept().count();
    }
  }
  for (std::size_t i = 0; i < calls.size(); ++i) {
    if (calls[i].done) calls[i].done(std::move(outcome.results[i]));
  }
}

void SegmentLog::Impl::Publish(Sequence head) {
  head_.store(head, std::memory_order_release);
  const std::lock_guard lock(listeners_mutex_);
  for (const auto& [key, listener] : listeners_) listener(head);
}

std::unique_ptr<HeadListener> SegmentLog::Impl::Listen(std::function<void(Sequence)> listener) {
  const std::lock_guard lock(listeners_mutex_);
  const std::uint64_t key = next_listener_++;
  listeners_[key] = std::move(listener);
  return std::make_unique<Listener>(*this, key);
}

LogHealth SegmentLog::Impl::Health() const {
  LogHealth health;
  health.status = current_status();
  health.writable = health.status.ok();
  health.lost = lost_.All();
  health.notes = notes_.sentences;
  health.torn_tails_cut = notes_.torn_tails_cut;
  health.footers_rebuilt = notes_.footers_rebuilt;
  health.stored_bytes = segments_.bytes();
  health.segments = segments_.size();
  health.append_queue_events = queue_.events();
  health.append_queue_bytes = queue_.bytes();
  health.dedup_entries = dedup_entries_.load();
  health.dedup_window_seconds = static_cast<double>(dedup_window_micros_.load()) / 1e6;
  health.pins.refused_spaces = gate_.closed();
  health.pins.refused_events = gate_.refused();
  health.scrub = scrubber_.health();
  const std::lock_guard lock(state_mutex_);
  health.pins.worst = worst_pin_;
  health.pins.skipped_ranges = skipped_ranges_;
  return health;
}

absl::Status SegmentLog::Impl::Reopen() {
  AssertMayBlock("reopening the event log");
  const std::lock_guard lock(commit_mutex_);
  State state;
  {
    const std::lock_guard state_lock(state_mutex_);
    state = state_;
    probe_at_ = MonotonicTime::min();
  }
  if (state == State::kFailed) {
    RETURN_IF_ERROR(writer_->Reopen());
    SetState(State::kWritable, absl::OkStatus());
    Note("the event log was verified and accepts events again");
    return absl::OkStatus();
  }
  return CheckWritable();
}

void SegmentLog::Impl::Stop() {
  const std::lock_guard lock(stop_mutex_);
  queue_.Close();
  if (thread_.joinable()) {
    thread_.join();
  } else if (committer_ != nullptr) {
    while (Pump()) {
    }
  }
}

}  // namespace penstock::broker
