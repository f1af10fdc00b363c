// The ports that the gRPC faces call, held in memory. They answer in the call.
#pragma once

#include <io/cloudevents/v1/cloudevents.pb.h>

#include <algorithm>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "services/event-broker/ports/dead_letter_store.h"
#include "services/event-broker/ports/delivery_control.h"
#include "services/event-broker/ports/event_log.h"
#include "services/event-broker/ports/function_references.h"

namespace penstock::broker {

// Events one after the other, a microsecond apart.
class MemoryLog final : public EventLog {
 public:
  // Gives the event's sequence.
  Sequence Add(const std::string& type, const std::string& id, const std::string& source = "/shop",
               const std::map<std::string, std::string>& attributes = {}) {
    io::cloudevents::v1::CloudEvent event;
    event.set_id(id);
    event.set_source(source);
    event.set_type(type);
    event.set_spec_version("1.0");
    for (const auto& [name, value] : attributes) {
      (*event.mutable_attributes())[name].set_ce_string(value);
    }
    const std::string body = event.SerializeAsString();
    EventRecord record;
    record.sequence = records_.size() + 1;
    record.append_time = TimeOf(record.sequence);
    record.space = "default";
    record.type = type;
    record.source = source;
    record.id = id;
    record.body = body;
    records_.push_back(record.Detached());
    return record.sequence;
  }
  static WallTime TimeOf(Sequence sequence) {
    return FromUnixMicros(1'700'000'000'000'000 + static_cast<std::int64_t>(sequence));
  }
  void set_horizon(Sequence horizon) { horizon_ = horizon; }

  absl::Status Append(std::vector<AppendRequest>, AppendDone) override {
    return absl::UnimplementedError("appends");
  }
  Durability durability() const override { return Durability::kFsynced; }
  Sequence head() const override { return records_.size(); }
  Sequence horizon() const override { return horizon_; }
  std::unique_ptr<HeadListener> OnHeadAdvanced(std::function<void(Sequence)>) override {
    return nullptr;
  }
  absl::StatusOr<ScanResult> Scan(const ScanRequest&) override { return ScanResult(); }
  std::optional<ScanResult> ScanCached(const ScanRequest&) override { return std::nullopt; }
  absl::StatusOr<EventRecord> Read(Sequence sequence) override {
    if (sequence < horizon_) return absl::OutOfRangeError("no longer kept");
    if (sequence == 0 || sequence > records_.size()) return absl::NotFoundError("no such record");
    return records_[sequence - 1];
  }
  std::optional<EventRecord> ReadCached(Sequence) override { return std::nullopt; }
  absl::StatusOr<Sequence> FirstAtOrAfter(WallTime time) override {
    for (const EventRecord& record : records_) {
      if (record.append_time >= time) return record.sequence;
    }
    return head() + 1;
  }
  absl::StatusOr<std::vector<EventRecord>> FindById(const FindByIdRequest& request) override {
    std::vector<EventRecord> found;
    for (auto record = records_.rbegin(); record != records_.rend(); ++record) {
      const bool wanted =
          record->id == request.id && (!request.source || record->source == *request.source);
      if (wanted) found.push_back(*record);
    }
    return found;
  }
  std::unique_ptr<LogPin> Pin(Sequence, const PinOwner&) override { return nullptr; }
  LogHealth Health() const override { return {}; }
  absl::Status Reopen() override { return absl::OkStatus(); }
  void Stop() override {}

 private:
  std::vector<EventRecord> records_;
  Sequence horizon_ = 1;
};

// Knows the lanes that the test names.
class MemoryDelivery final : public DeliveryControl {
 public:
  std::map<DeliveryKey, DeliveryWhereabouts> places;
  std::map<std::string, SubscriptionProgress> progress;

  void Change(std::shared_ptr<const Subscription>) override {}
  void GetProgress(const std::string& uid,
                   std::function<void(std::optional<SubscriptionProgress>)> done) override {
    const auto at = progress.find(uid);
    at == progress.end() ? done(std::nullopt) : done(at->second);
  }
  void FindDelivery(const DeliveryKey& key,
                    std::function<void(std::optional<DeliveryWhereabouts>)> done) override {
    const auto at = places.find(key);
    at == places.end() ? done(std::nullopt) : done(at->second);
  }
  void Redrive(std::vector<StoredDeadLetter> letters, int,
               std::function<void(absl::StatusOr<std::int64_t>)> done) override {
    done(static_cast<std::int64_t>(letters.size()));
  }
  void Cancel(const DeliveryKey&, std::function<void(CancelVerdict)> done) override {
    done(CancelVerdict::kUnknown);
  }
  void Purged(const std::vector<StoredDeadLetter>&) override {}
  void StartReplay(const StoredReplay&) override {}
  void SetReplayPaused(const std::string&, bool) override {}
  void EndReplay(const std::string&) override {}
  void CountMatches(const std::string&, Sequence, Sequence,
                    std::function<void(absl::StatusOr<std::int64_t>)> done) override {
    done(0);
  }
};

class MemoryDeadLetters final : public DeadLetterStore {
 public:
  std::map<DeliveryKey, StoredDeadLetter> letters;
  absl::Status failure;  // Of reads, when it is not OK.

  void ListDeadLetters(DeadLetterQuery, StoreResult<DeadLetterPage> done) override {
    DeadLetterPage page;
    for (const auto& [key, letter] : letters) page.letters.push_back(letter);
    done(std::move(page));
  }
  void GetDeadLetter(const DeliveryKey& key, StoreResult<StoredDeadLetter> done) override {
    if (!failure.ok()) return done(failure);
    const auto at = letters.find(key);
    at == letters.end() ? done(absl::NotFoundError("no such letter")) : done(at->second);
  }
  void PurgeDeadLetters(std::vector<DeliveryKey>, StoreResult<std::int64_t> done) override {
    done(0);
  }
  void EditDeadLetter(const DeliveryKey&, int, std::string, std::string, std::string,
                      StoreDone done) override {
    done(absl::OkStatus());
  }
  void CountDeadLetters(const std::string& uid, StoreResult<std::int64_t> done) override {
    done(static_cast<std::int64_t>(std::count_if(
        letters.begin(), letters.end(), [&](const auto& one) { return one.first.uid == uid; })));
  }
};

// Every function exists.
class NoReferences final : public FunctionReferences {
 public:
  void Acquire(Reference, std::function<void(absl::StatusOr<std::int64_t>)> done) override {
    done(1);
  }
  void Release(Reference, std::function<void(absl::Status)> done) override {
    done(absl::OkStatus());
  }
  void Reconcile(std::vector<Reference>,
                 std::function<void(absl::StatusOr<std::vector<Reference>>)> done) override {
    done(std::vector<Reference>());
  }
};

}  // namespace penstock::broker
