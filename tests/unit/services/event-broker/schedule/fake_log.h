// A log that keeps what it is given in memory, knows ids again, and refuses when a test says so.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include "libs/base/status.h"
#include "services/event-broker/ports/event_log.h"

namespace penstock::broker {

// Appends are answered in the call. Thread-safe.
class FakeLog final : public EventLog {
 public:
  explicit FakeLog(const Clock& clock) : clock_(clock) {}

  struct Stored {
    Sequence sequence = kNoSequence;
    AppendRequest request;
    WallTime time{};
  };

  // Appends are refused as a whole; OK ends that.
  void Refuse(absl::Status status) {
    const std::lock_guard lock(mutex_);
    refusal_ = std::move(status);
  }
  // Of every append that is taken, events of this id fail alone.
  void Fail(const std::string& id) {
    const std::lock_guard lock(mutex_);
    failing_ = id;
  }
  // Publishes to this space are refused, as while a subscription of it holds back too much; empty
  // ends that.
  void Close(const std::string& space) {
    const std::lock_guard lock(mutex_);
    closed_ = space;
  }
  // Runs in every append, before it is answered.
  void OnAppend(std::function<void()> hook) { on_append_ = std::move(hook); }
  // As after a deduplication window: ids are not known again.
  void ForgetIds() {
    const std::lock_guard lock(mutex_);
    known_.clear();
  }
  std::vector<std::string> ids() const {
    const std::lock_guard lock(mutex_);
    std::vector<std::string> ids;
    for (const Stored& stored : stored_) ids.push_back(stored.request.id);
    return ids;
  }
  std::vector<std::size_t> batches() const {
    const std::lock_guard lock(mutex_);
    return batches_;
  }
  Stored last() const {
    const std::lock_guard lock(mutex_);
    return stored_.back();
  }

  absl::Status Append(std::vector<AppendRequest> requests, AppendDone done) override {
    std::vector<AppendResult> results;
    {
      const std::lock_guard lock(mutex_);
      if (!refusal_.ok()) return refusal_;
      batches_.push_back(requests.size());
      for (AppendRequest& request : requests) results.push_back(Store(std::move(request)));
    }
    if (on_append_) on_append_();
    done(std::move(results));
    return absl::OkStatus();
  }
  absl::StatusOr<std::vector<EventRecord>> FindById(const FindByIdRequest& request) override {
    const std::lock_guard lock(mutex_);
    std::vector<EventRecord> found;
    for (const Stored& stored : stored_) {
      if (stored.request.space != request.space || stored.request.id != request.id ||
          (request.source && stored.request.source != *request.source)) {
        continue;
      }
      EventRecord record;
      record.sequence = stored.sequence;
      record.append_time = stored.time;
      record.content_hash = stored.request.content_hash;
      found.push_back(record);
    }
    return found;
  }
  Durability durability() const override { return Durability::kFsynced; }
  Sequence head() const override {
    const std::lock_guard lock(mutex_);
    return stored_.size();
  }
  Sequence horizon() const override { return 1; }

  // Nobody asks for these.
  std::unique_ptr<HeadListener> OnHeadAdvanced(std::function<void(Sequence)>) override {
    return nullptr;
  }
  absl::StatusOr<ScanResult> Scan(const ScanRequest&) override { return ScanResult(); }
  std::optional<ScanResult> ScanCached(const ScanRequest&) override { return std::nullopt; }
  absl::StatusOr<EventRecord> Read(Sequence) override { return absl::NotFoundError("none"); }
  std::optional<EventRecord> ReadCached(Sequence) override { return std::nullopt; }
  absl::StatusOr<Sequence> FirstAtOrAfter(WallTime) override { return 1; }
  std::unique_ptr<LogPin> Pin(Sequence, const PinOwner&) override { return nullptr; }
  LogHealth Health() const override { return {}; }
  absl::Status Reopen() override { return absl::OkStatus(); }
  void Stop() override {}

 private:
  AppendResult Store(AppendRequest request) {
    AppendResult result;
    if (request.id == failing_) {
      result.status = absl::UnavailableError("the disk is full");
      return result;
    }
    if (!closed_.empty() && request.space == closed_) {
      result.status =
          WithReason(absl::ResourceExhaustedError("takes no more events"), kReasonPinLimit);
      return result;
    }
    const auto key = std::tuple(request.space, request.source, request.id);
    const auto [at, fresh] = known_.try_emplace(key, stored_.size() + 1);
    result.sequence = at->second;
    result.verdict = fresh ? AppendVerdict::kAccepted : AppendVerdict::kDuplicate;
    if (fresh) stored_.push_back({at->second, std::move(request), clock_.Wall()});
    return result;
  }

  const Clock& clock_;
  mutable std::mutex mutex_;
  absl::Status refusal_;
  std::string failing_;
  std::string closed_;
  std::function<void()> on_append_;  // Set before the first append.
  std::vector<Stored> stored_;
  std::map<std::tuple<std::string, std::string, std::string>, Sequence> known_;
  std::vector<std::size_t> batches_;
};

}  // namespace penstock::broker
