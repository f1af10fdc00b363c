#include "tests/sim/sim_log.h"

#include <utility>

namespace penstock::broker::sim {

absl::Status SimLog::Append(std::vector<AppendRequest> requests, AppendDone done) {
  if (flaw_ == Flaw::kEarlyDuplicate) AnswerEarly(requests, done);
  if (requests.empty()) return absl::OkStatus();
  const absl::Status queued = log_->Append(std::move(requests), std::move(done));
  if (queued.ok()) PumpLater();
  return queued;
}

// An id that waits already is called a duplicate at once.
void SimLog::AnswerEarly(std::vector<AppendRequest>& requests, AppendDone& done) {
  if (requests.size() != 1 || requests.front().id.empty()) return;
  if (waiting_.insert(requests.front().id).second) return;
  done({{AppendVerdict::kDuplicate, kNoSequence, false, absl::OkStatus()}});
  requests.clear();
}

void SimLog::PumpLater() {
  if (std::exchange(pumping_, true)) return;
  world_.After(world_.dice.Delay(100, 1'500), [this, alive = alive_] {
    if (!*alive) return;
    pumping_ = false;
    waiting_.clear();
    const bool more = log_->Pump();
    after_commit_();
    if (*alive && more) PumpLater();
  });
}

absl::StatusOr<ScanResult> SimLog::Scan(const ScanRequest& request) {
  const bool catches_up = !request.filter.control_records && request.to != kMaxSequence;
  if (flaw_ == Flaw::kDropOnOverflow && catches_up) return ScanResult{{}, request.to + 1, {}};
  auto result = log_->Scan(request);
  if (flaw_ == Flaw::kKeysLost && result.ok()) {
    for (EventRecord& record : result->records) record.ordering_key = "";
  }
  return result;
}

std::optional<ScanResult> SimLog::ScanCached(const ScanRequest& request) {
  auto result = log_->ScanCached(request);
  if (flaw_ == Flaw::kKeysLost && result) {
    for (EventRecord& record : result->records) record.ordering_key = "";
  }
  return result;
}

}  // namespace penstock::broker::sim
