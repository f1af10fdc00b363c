#include "services/function-executor/domain/middleware/rate_limit_step.h"

#include <fmt/format.h>

#include <algorithm>
#include <boost/json/serialize.hpp>
#include <cmath>
#include <list>
#include <mutex>
#include <optional>
#include <unordered_map>
#include <utility>

#include "services/function-executor/domain/middleware/call_key.h"

namespace penstock::executor {
namespace {

constexpr std::size_t kKeysMax = 10'000;
constexpr std::size_t kKeyBytesMax = 128;
constexpr double kMicrosPerSecond = 1'000'000;

// Tokens by key. Thread-safe.
class Buckets {
 public:
  // Takes a token; else tells how long until there is one.
  std::optional<Microseconds> Take(const std::string& key, double rate, double burst,
                                   MonotonicTime now) {
    const std::lock_guard lock(mutex_);
    Bucket& bucket = Find(key, burst, now);
    const auto passed = static_cast<double>((now - bucket.at).count()) / kMicrosPerSecond;
    bucket.tokens = std::min(burst, bucket.tokens + std::max(passed, 0.0) * rate);
    bucket.at = now;
    if (bucket.tokens >= 1) {
      bucket.tokens -= 1;
      return std::nullopt;
    }
    return Microseconds(std::llround(std::ceil((1 - bucket.tokens) / rate * kMicrosPerSecond)));
  }

 private:
  struct Bucket {
    std::string key;
    double tokens = 0;
    MonotonicTime at;
  };

  // The least recently used goes when there are too many: it is full again by then, or nearly.
  Bucket& Find(const std::string& key, double burst, MonotonicTime now) {
    const auto found = by_key_.find(key);
    if (found != by_key_.end()) {
      buckets_.splice(buckets_.begin(), buckets_, found->second);
    } else {
      if (buckets_.size() >= kKeysMax) {
        by_key_.erase(buckets_.back().key);
        buckets_.pop_back();
      }
      buckets_.push_front({key, burst, now});
      by_key_[key] = buckets_.begin();
    }
    return buckets_.front();
  }

  std::mutex mutex_;
  std::list<Bucket> buckets_;  // The last used first.
  std::unordered_map<std::string, std::list<Bucket>::iterator> by_key_;
};

class RateLimitStep final : public Middleware {
 public:
  struct Options {
    double rate = 1;
    double burst = 1;
    bool by_caller = false;
    std::string header;
    std::optional<JsonPlace> place;
  };

  RateLimitStep(Options options, const StepContext& context)
      : options_(std::move(options)),
        clock_(context.clock),
        buckets_(context.State<Buckets>(StepContext::Scope::kSpace)) {}

  void Handle(const std::shared_ptr<Step>& step) const override {
    const auto wait =
        buckets_->Take(KeyOf(*step), options_.rate, options_.burst, clock_.Monotonic());
    if (!wait) return step->Next();
    step->Finish(
        RefusedOutcome(absl::StatusCode::kResourceExhausted,
                       {ErrorCategory::kSystem,
                        "RateLimited",
                        fmt::format("more than {:g} calls a second (rate_limit)", options_.rate),
                        {}},
                       *wait));
  }

 private:
  std::string KeyOf(const Step& step) const {
    std::string key;
    if (options_.by_caller) key = step.call().caller;
    if (!options_.header.empty()) key = HeaderOf(step.call(), options_.header);
    if (options_.place) {
      const auto value = ParseJsonBody(*step.payload());
      const auto* const found = value ? options_.place->Find(*value) : nullptr;
      if (found != nullptr) key = boost::json::serialize(*found);
    }
    if (key.size() <= kKeyBytesMax) return key;
    KeyDigest digest;
    digest.Add(key);
    return digest.Value();
  }

  const Options options_;
  const Clock& clock_;
  const std::shared_ptr<Buckets> buckets_;
};

}  // namespace

absl::StatusOr<std::shared_ptr<const Middleware>> MakeRateLimitStep(StepSettings& settings,
                                                                    const StepContext& context) {
  RateLimitStep::Options options;
  options.rate = settings.Number("rate", 0);
  if (!(options.rate > 0)) return absl::InvalidArgumentError("rate: is required");
  const auto burst = static_cast<double>(settings.Integer("burst", 0));
  options.burst = burst > 0 ? burst : std::max(1.0, std::ceil(options.rate));
  options.by_caller = settings.Flag("caller");
  options.header = LowerCase(settings.Text("header"));
  if (settings.Has("pointer")) {
    auto places = ParsePlaces("pointer", {settings.Text("pointer")});
    if (!places.ok()) return places.status();
    options.place = places->front();
  }
  return std::make_shared<const RateLimitStep>(std::move(options), context);
}

}  // namespace penstock::executor
