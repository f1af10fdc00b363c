// The real log over the simulated disk, with its thread replaced by the schedule.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "services/event-broker/storage/segment_log.h"
#include "tests/sim/flaw.h"
#include "tests/sim/world.h"

namespace penstock::broker::sim {

// Passes everything on to a SegmentLog, whose appends are committed some time after they were made.
class SimLog final : public EventLog {
 public:
  // `after_commit` runs behind every commit, whether or not the power held.
  SimLog(World& world, std::unique_ptr<SegmentLog> log, Flaw flaw,
         std::function<void()> after_commit)
      : world_(world), log_(std::move(log)), flaw_(flaw), after_commit_(std::move(after_commit)) {}
  void Crash() { *alive_ = false; }
  SegmentLog& inner() { return *log_; }

  absl::Status Append(std::vector<AppendRequest> requests, AppendDone done) override;
  Durability durability() const override { return log_->durability(); }
  Sequence head() const override { return log_->head(); }
  Sequence horizon() const override { return log_->horizon(); }
  std::unique_ptr<HeadListener> OnHeadAdvanced(std::function<void(Sequence)> listener) override {
    return log_->OnHeadAdvanced(std::move(listener));
  }
  absl::StatusOr<ScanResult> Scan(const ScanRequest& request) override;
  std::optional<ScanResult> ScanCached(const ScanRequest& request) override;
  absl::StatusOr<EventRecord> Read(Sequence sequence) override { return log_->Read(sequence); }
  std::optional<EventRecord> ReadCached(Sequence sequence) override {
    return log_->ReadCached(sequence);
  }
  absl::StatusOr<Sequence> FirstAtOrAfter(WallTime time) override {
    return log_->FirstAtOrAfter(time);
  }
  absl::StatusOr<std::vector<EventRecord>> FindById(const FindByIdRequest& request) override {
    return log_->FindById(request);
  }
  using EventLog::Pin;
  std::unique_ptr<LogPin> Pin(Sequence sequence, const PinOwner& owner) override {
    return log_->Pin(sequence, owner);
  }
  LogHealth Health() const override { return log_->Health(); }
  absl::Status Reopen() override { return log_->Reopen(); }
  void Stop() override { log_->Stop(); }

 private:
  void PumpLater();
  void AnswerEarly(std::vector<AppendRequest>& requests, AppendDone& done);

  World& world_;
  const std::unique_ptr<SegmentLog> log_;
  const Flaw flaw_;
  const std::function<void()> after_commit_;
  const std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
  bool pumping_ = false;
  std::set<std::string> waiting_;  // Ids that are not durable yet; for the flaw alone.
};

}  // namespace penstock::broker::sim
