// What SegmentLog consists of.
#pragma once

#include <atomic>
#include <map>
#include <memory>
#include <mutex>
#include <thread>
#include <vector>

#include "services/event-broker/storage/append_queue.h"
#include "services/event-broker/storage/batch_cache.h"
#include "services/event-broker/storage/committer.h"
#include "services/event-broker/storage/dedup_table.h"
#include "services/event-broker/storage/log_folder.h"
#include "services/event-broker/storage/log_reader.h"
#include "services/event-broker/storage/lost_ranges.h"
#include "services/event-broker/storage/pin_set.h"
#include "services/event-broker/storage/publish_gate.h"
#include "services/event-broker/storage/scrubber.h"
#include "services/event-broker/storage/segment_log.h"
#include "services/event-broker/storage/segment_writer.h"

namespace penstock::broker {

class SegmentLog::Impl {
 public:
  Impl(SegmentLogOptions options, const Clock& clock, std::unique_ptr<Folder> folder);
  ~Impl();

  // Recovers the folder, fills the deduplication table and starts the thread.
  absl::Status Start();

  absl::Status Append(std::vector<AppendRequest> requests, AppendDone done);
  std::unique_ptr<HeadListener> Listen(std::function<void(Sequence)> listener);
  std::unique_ptr<LogPin> Pin(Sequence sequence, const PinOwner& owner) {
    return pins_.Pin(sequence, owner);
  }
  LogHealth Health() const;
  absl::Status Reopen();
  void Stop();
  absl::StatusOr<RetentionResult> ApplyRetention();
  void SetRetention(const RetentionLimits& limits);
  absl::Status Scrub(std::uint64_t bytes_max) { return scrubber_.Step(bytes_max); }
  bool Pump();

  LogReader& reader() { return reader_; }
  const LogReader& reader() const { return reader_; }
  Sequence head() const { return head_.load(std::memory_order_acquire); }

 private:
  class Listener;
  enum class State { kWritable, kDiskFull, kFailed, kReadOnly };

  // The log's thread.
  void Run();
  void CommitCalls(std::vector<AppendCall> calls);
  // Requires commit_mutex_. The status that keeps appends out, after trying to leave the disk-full
  // state.
  absl::Status CheckWritable();
  // Requires commit_mutex_. Enters the state that a failed write leads to.
  void EnterFailure(const absl::Status& why);
  absl::Status FailureFor(const absl::Status& why) const;
  void SetState(State state, absl::Status status);
  absl::Status current_status() const;

  // Sets the reserve aside; RESOURCE_EXHAUSTED when there is no space for it.
  absl::Status TakeReserve();
  void ReleaseReserve();
  absl::Status FillDedup();
  absl::Status ApplyFloor(bool read_only);
  // The stored segments for the rules of retention.
  RetentionView ViewSegments() const;
  // Closes spaces and notes the worst pin.
  void JudgePins(const RetentionView& view);
  // Takes the oldest segment out of the set when it is due and no pin holds it; null otherwise.
  std::shared_ptr<Segment> TakeDue(RetentionView& view, RetentionResult& result);
  void Publish(Sequence head);
  void Note(const std::string& sentence);

  const SegmentLogOptions options_;
  const Clock& clock_;
  const std::unique_ptr<Folder> folder_;
  const HashKey dedup_key_ = HashKey::Random();
  SegmentSet segments_;
  LostRanges lost_;
  RecoveryNotes notes_;  // Written by Start() only.
  BatchCache cache_;
  std::atomic<Sequence> head_{kNoSequence};
  LogReader reader_;
  DedupTable dedup_;
  PinSet pins_;
  PublishGate gate_;
  AppendQueue queue_;

  std::mutex commit_mutex_;  // Held while writer_, dedup_ and the reserve are used.
  std::unique_ptr<SegmentWriter> writer_;
  std::unique_ptr<Committer> committer_;
  std::unique_ptr<File> reserve_;

  mutable std::mutex state_mutex_;  // Innermost.
  State state_ = State::kWritable;
  absl::Status status_;
  RetentionLimits retention_ = options_.retention;
  std::optional<PinUse> worst_pin_;
  std::uint64_t skipped_ranges_ = 0;
  MonotonicTime probe_at_ = MonotonicTime::min();  // When a full disk is tried again.
  std::atomic<std::size_t> dedup_entries_{0};
  std::atomic<std::int64_t> dedup_window_micros_{0};

  std::mutex listeners_mutex_;
  std::uint64_t next_listener_ = 0;
  std::map<std::uint64_t, std::function<void(Sequence)>> listeners_;

  std::mutex maintenance_mutex_;  // One retention run at a time.
  Scrubber scrubber_;

  std::mutex stop_mutex_;
  std::thread thread_;
};

}  // namespace penstock::broker
