// Matches older parts of the log again, a pass at a time, so that the head is never late.
#pragma once

#include <deque>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "libs/base/time.h"
#include "services/event-broker/delivery/background.h"
#include "services/event-broker/delivery/delivery_stats.h"
#include "services/event-broker/delivery/revision_index.h"
#include "services/event-broker/domain/delivery/types.h"
#include "services/event-broker/ports/event_log.h"

namespace penstock::broker {

struct CatchUpOptions {
  // What one pass reads before the next ones get their turn.
  std::size_t pass_events = 4096;
  std::size_t pass_bytes = 4u << 20;
  // How far apart scans may begin to share a pass.
  Sequence share_span = 16'384;
  // While the head is behind: the share of one core, and the bytes a second, that passes may take.
  int cpu_percent = 25;
  std::uint64_t bytes_per_second = 32u << 20;
};

// What was found for one scan.
struct ScanAnswer {
  std::string uid;
  std::vector<Position> positions;
  Sequence next = kNoSequence;
  // What the log does not hold any more.
  std::optional<std::pair<Sequence, Sequence>> gone;
};

// Passes run in the background, one at a time; everything here is called on the shell's thread.
// Scans that begin near each other share a pass. What it is given must outlive it and its passes.
class CatchUp {
 public:
  CatchUp(EventLog& log, Background& background, const Clock& clock, CatchUpOptions options,
          DeliveryStats& stats, std::function<void(ScanAnswer)> answer);

  // Matching for one lane: nothing when `history` is null.
  struct View {
    std::shared_ptr<const RevisionHistory> history;
    std::optional<std::string> ordered_by;
  };
  void Scan(ScanOrder order, View view);
  // Counts what matches, in turn with the scans.
  void Count(Sequence from, Sequence to, View view,
             std::function<void(absl::StatusOr<std::int64_t>)> done);
  // Drops the scans of a lane that has ended.
  void Forget(const std::string& uid);
  // Starts the next pass when one is due. `head_late` is true while the head has not been read to
  // its end.
  void Turn(bool head_late);
  // When Turn should be called, beside whenever something happens.
  std::optional<MonotonicTime> wake_at() const { return waiting() ? next_at_ : std::nullopt; }

 private:
  struct Job {
    ScanOrder order;
    View view;
    std::int64_t counted = 0;
    std::function<void(absl::StatusOr<std::int64_t>)> done;  // Set for counts.
  };
  // What one pass does, and what came of it. Handed to the background and back.
  struct Pass {
    std::vector<Job> jobs;
    std::vector<ScanAnswer> answers;  // One for each job.
    absl::Status status;
    std::size_t records = 0;
    std::size_t bytes = 0;
    Microseconds took{0};
  };

  bool waiting() const { return !running_ && !jobs_.empty(); }
  void Begin();
  void Finish(Pass& pass);
  void FinishCount(Job job, const ScanAnswer& answer);
  static void RunPass(EventLog& log, const CatchUpOptions& options, Pass& pass);
  static void Match(const EventRecord& record, Pass& pass);
  static void ReportGone(Sequence horizon, Pass& pass);

  EventLog& log_;
  Background& background_;
  const Clock& clock_;
  const CatchUpOptions options_;
  DeliveryStats& stats_;
  const std::function<void(ScanAnswer)> answer_;
  std::deque<Job> jobs_;
  bool running_ = false;
  bool head_was_late_ = false;
  std::optional<MonotonicTime> next_at_;
};

}  // namespace penstock::broker
