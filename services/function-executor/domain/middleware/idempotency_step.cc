#include "services/function-executor/domain/middleware/idempotency_step.h"

#include <fmt/format.h>

#include <list>
#include <mutex>
#include <optional>
#include <unordered_map>
#include <utility>

#include "services/function-executor/domain/middleware/call_key.h"

namespace penstock::executor {
namespace {

constexpr std::size_t kAnswersBytesMax = std::size_t{64} << 20;
constexpr Microseconds kConflictWait{1'000'000};

// What the first call with a key was and answered. Thread-safe.
class KeyMemory {
 public:
  enum class Found { kNew, kRunning, kOther, kAnswer, kFull };

  // kNew: the caller runs it, and says so with Answer or Forget. kAnswer sets `answer`.
  Found Begin(const std::string& key, const std::string& fingerprint, MonotonicTime now,
              std::size_t keys_max, Outcome* answer) {
    const std::lock_guard lock(mutex_);
    if (const auto found = by_key_.find(key); found != by_key_.end()) {
      const Entry& entry = *found->second;
      const bool is_over = !entry.is_running && entry.expires <= now;
      if (!is_over) {
        if (entry.fingerprint != fingerprint) return Found::kOther;
        if (entry.is_running) return Found::kRunning;
        *answer = entry.outcome;
        return Found::kAnswer;
      }
      Drop(found->second);
    }
    while (entries_.size() >= keys_max) {
      if (!DropOldestAnswer()) return Found::kFull;
    }
    entries_.push_back({key, fingerprint, true, {}, {}});
    by_key_[key] = std::prev(entries_.end());
    return Found::kNew;
  }

  void Answer(const std::string& key, Outcome outcome, MonotonicTime expires) {
    const std::lock_guard lock(mutex_);
    const auto found = by_key_.find(key);
    if (found == by_key_.end()) return;
    bytes_ += outcome.payload->size();
    found->second->is_running = false;
    found->second->expires = expires;
    found->second->outcome = std::move(outcome);
    while (bytes_ > kAnswersBytesMax && DropOldestAnswer()) continue;
  }

  void Forget(const std::string& key) {
    const std::lock_guard lock(mutex_);
    if (const auto found = by_key_.find(key); found != by_key_.end()) Drop(found->second);
  }

 private:
  struct Entry {
    std::string key;
    std::string fingerprint;
    bool is_running = true;
    Outcome outcome;
    MonotonicTime expires;
  };

  void Drop(std::list<Entry>::iterator entry) {
    if (entry->outcome.payload) bytes_ -= entry->outcome.payload->size();
    by_key_.erase(entry->key);
    entries_.erase(entry);
  }

  // False when all that are left run.
  bool DropOldestAnswer() {
    for (auto entry = entries_.begin(); entry != entries_.end(); ++entry) {
      if (entry->is_running) continue;
      Drop(entry);
      return true;
    }
    return false;
  }

  std::mutex mutex_;
  std::list<Entry> entries_;  // The oldest first.
  std::unordered_map<std::string, std::list<Entry>::iterator> by_key_;
  std::size_t bytes_ = 0;  // Of the answers.
};

Outcome Refused(absl::StatusCode code, const char* type, std::string message,
                Microseconds retry_after = Microseconds(0)) {
  return RefusedOutcome(code, {ErrorCategory::kInput, type, std::move(message), {}}, retry_after);
}

class IdempotencyStep final : public Middleware {
 public:
  struct Options {
    Microseconds ttl{3'600'000'000};
    bool is_required = false;
    std::size_t keys_max = 10'000;
  };

  IdempotencyStep(Options options, const StepContext& context)
      : options_(options),
        clock_(context.clock),
        memory_(context.State<KeyMemory>(StepContext::Scope::kFunction)) {}

  void Handle(const std::shared_ptr<Step>& step) const override {
    if (step->is_delivery()) return step->Skip();
    const std::string& given = step->call().idempotency_key;
    if (given.empty() && !options_.is_required) return step->Skip();
    if (given.empty()) {
      return step->Finish(Refused(absl::StatusCode::kInvalidArgument, "IdempotencyKeyRequired",
                                  "the function takes only calls with an Idempotency-Key"));
    }
    // The key of one client says nothing of another's.
    const std::string key = fmt::format("{}:{}{}", given.size(), given, step->call().caller);
    Outcome answer;
    switch (
        memory_->Begin(key, FingerprintOf(*step), clock_.Monotonic(), options_.keys_max, &answer)) {
      case KeyMemory::Found::kNew: return Run(step, key);
      case KeyMemory::Found::kAnswer: return step->Finish(std::move(answer));
      case KeyMemory::Found::kRunning:
        return step->Finish(Refused(absl::StatusCode::kAborted, "IdempotencyConflict",
                                    "the first call with this Idempotency-Key still runs",
                                    kConflictWait));
      case KeyMemory::Found::kOther:
        return step->Finish(Refused(absl::StatusCode::kInvalidArgument, "IdempotencyMismatch",
                                    "the Idempotency-Key was used for another payload"));
      case KeyMemory::Found::kFull: break;
    }
    step->Finish(RefusedOutcome(absl::StatusCode::kResourceExhausted,
                                {ErrorCategory::kSystem,
                                 "Busy",
                                 "too many calls with an Idempotency-Key run (max_keys)",
                                 {}},
                                kConflictWait));
  }

 private:
  void Run(const std::shared_ptr<Step>& step, const std::string& key) const {
    step->Next([this, step, key](Outcome outcome) {
      // Nobody knows whether the function did its work: the next call finds out.
      const bool is_unknown = outcome.error && (outcome.error->category == ErrorCategory::kSystem ||
                                                outcome.refusal != absl::StatusCode::kOk);
      if (is_unknown) {
        memory_->Forget(key);
      } else {
        Outcome kept = outcome;
        kept.logs = {};
        memory_->Answer(key, std::move(kept), clock_.Monotonic() + options_.ttl);
        step->SetEffect("stored");
      }
      step->Finish(std::move(outcome));
    });
  }

  static std::string FingerprintOf(const Step& step) {
    KeyDigest digest;
    AddHttp(step.call(), {}, &digest);
    AddPayload(step, {}, &digest);
    return digest.Value();
  }

  const Options options_;
  const Clock& clock_;
  const std::shared_ptr<KeyMemory> memory_;
};

}  // namespace

absl::StatusOr<std::shared_ptr<const Middleware>> MakeIdempotencyStep(StepSettings& settings,
                                                                      const StepContext& context) {
  IdempotencyStep::Options options;
  options.ttl = settings.Duration("ttl", options.ttl);
  options.is_required = settings.Flag("required");
  options.keys_max = static_cast<std::size_t>(settings.Integer("maxKeys", 10'000));
  return std::make_shared<const IdempotencyStep>(options, context);
}

}  // namespace penstock::executor
