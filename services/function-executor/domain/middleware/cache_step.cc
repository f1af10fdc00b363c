#include "services/function-executor/domain/middleware/cache_step.h"

#include <algorithm>
#include <list>
#include <mutex>
#include <optional>
#include <unordered_map>
#include <utility>

#include "services/function-executor/domain/middleware/call_key.h"

namespace penstock::executor {
namespace {

constexpr std::size_t kAnswerBytesMax = 256 * 1024;
constexpr std::size_t kCacheBytesMax = std::size_t{64} << 20;
// What an entry takes beside its payload, about.
constexpr std::size_t kEntryBytes = 512;

// Answers by key, the least recently used going first. Thread-safe.
class Answers {
 public:
  std::optional<Outcome> Find(const std::string& key, MonotonicTime now) {
    const std::lock_guard lock(mutex_);
    const auto found = by_key_.find(key);
    if (found == by_key_.end()) return std::nullopt;
    if (found->second->expires <= now) {
      Drop(found->second);
      return std::nullopt;
    }
    entries_.splice(entries_.begin(), entries_, found->second);
    return found->second->outcome;
  }

  void Put(const std::string& key, Outcome outcome, MonotonicTime expires,
           std::size_t entries_max) {
    const std::lock_guard lock(mutex_);
    if (const auto found = by_key_.find(key); found != by_key_.end()) Drop(found->second);
    bytes_ += outcome.payload->size() + kEntryBytes;
    entries_.push_front({key, std::move(outcome), expires});
    by_key_[key] = entries_.begin();
    while (entries_.size() > entries_max || bytes_ > kCacheBytesMax)
      Drop(std::prev(entries_.end()));
  }

 private:
  struct Entry {
    std::string key;
    Outcome outcome;
    MonotonicTime expires;
  };

  void Drop(std::list<Entry>::iterator entry) {
    bytes_ -= entry->outcome.payload->size() + kEntryBytes;
    by_key_.erase(entry->key);
    entries_.erase(entry);
  }

  std::mutex mutex_;
  std::list<Entry> entries_;  // The last used first.
  std::unordered_map<std::string, std::list<Entry>::iterator> by_key_;
  std::size_t bytes_ = 0;
};

// An answer to an HTTP event may say by itself that it is an error.
bool IsHttpError(const Step& step, const Outcome& outcome) {
  if (!step.call().http || outcome.payload->find("statusCode") == std::string::npos) return false;
  const auto value = ParseJsonBody(*outcome.payload);
  if (!value || !value->is_object()) return false;
  const auto* const code = value->as_object().if_contains("statusCode");
  return code != nullptr && code->is_int64() && code->as_int64() >= 400;
}

class CacheStep final : public Middleware {
 public:
  struct Options {
    std::vector<JsonPlace> key;
    Microseconds ttl{60'000'000};
    std::size_t entries_max = 1000;
  };

  CacheStep(Options options, const StepContext& context)
      : options_(std::move(options)),
        clock_(context.clock),
        answers_(context.State<Answers>(StepContext::Scope::kVersion)) {}

  void Handle(const std::shared_ptr<Step>& step) const override {
    if (step->is_delivery()) return step->Skip();
    std::string key = KeyOf(*step);
    if (auto known = answers_->Find(key, clock_.Monotonic())) {
      return step->Finish(*std::move(known));
    }
    step->Next([this, step, key = std::move(key)](Outcome outcome) {
      if (!outcome.error && outcome.payload->size() <= kAnswerBytesMax &&
          !IsHttpError(*step, outcome)) {
        Outcome kept = outcome;
        kept.logs = {};  // They are of the run that wrote them.
        answers_->Put(key, std::move(kept), clock_.Monotonic() + options_.ttl,
                      options_.entries_max);
        step->SetEffect("stored");
      }
      step->Finish(std::move(outcome));
    });
  }

 private:
  std::string KeyOf(const Step& step) const {
    KeyDigest key;
    // What one client may see another may not.
    AddHttp(step.call(), {"authorization", "cookie"}, &key);
    AddPayload(step, options_.key, &key);
    return key.Value();
  }

  const Options options_;
  const Clock& clock_;
  const std::shared_ptr<Answers> answers_;
};

}  // namespace

absl::StatusOr<std::shared_ptr<const Middleware>> MakeCacheStep(StepSettings& settings,
                                                                const StepContext& context) {
  CacheStep::Options options;
  auto places = ParsePlaces("keyPointers", settings.Texts("keyPointers"));
  if (!places.ok()) return places.status();
  options.key = *std::move(places);
  options.ttl = settings.Duration("ttl", options.ttl);
  options.entries_max = static_cast<std::size_t>(settings.Integer("maxEntries", 1000));
  return std::make_shared<const CacheStep>(std::move(options), context);
}

}  // namespace penstock::executor
