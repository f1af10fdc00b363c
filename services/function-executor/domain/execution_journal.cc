#include "services/function-executor/domain/execution_journal.h"

#include <algorithm>
#include <string>
#include <utility>

namespace penstock::executor {
namespace {

constexpr std::size_t kStackLinesMax = 64;
// Errors are kept even where bodies are not wanted.
constexpr std::size_t kErrorBytesMin = 1024;

// A function may say as much in an error as in an answer; a record keeps as much of it as of a
// body.
FunctionError CutError(FunctionError error, std::size_t bytes_max) {
  if (error.message.size() > bytes_max) error.message.resize(bytes_max);
  if (error.stacktrace.size() > kStackLinesMax) error.stacktrace.resize(kStackLinesMax);
  for (std::string& line : error.stacktrace) {
    if (line.size() > bytes_max) line.resize(bytes_max);
  }
  return error;
}

}  // namespace

ExecutionJournal::ExecutionJournal(ExecutionStore& store, const Clock& clock, Options options)
    : store_(store), clock_(clock), options_(options) {}

void ExecutionJournal::End(ExecutionRecord record, const Bytes& input,
                           const std::string& input_type, const Outcome& outcome, bool is_awaited,
                           std::function<void()> taken) {
  record.state = outcome.error ? ExecutionState::kFailed : ExecutionState::kSucceeded;
  if (outcome.error)
    record.error = CutError(*outcome.error, std::max(options_.body_bytes_max, kErrorBytesMin));
  const bool is_below_rate =
      IsBelowRate(record.space, record.function, options_.bodies_per_second, &rates_);
  if (outcome.error || is_below_rate) {
    record.input = RecordBody(input, input_type, options_.body_bytes_max);
    record.output = RecordBody(outcome.payload, outcome.content_type, options_.body_bytes_max);
    record.logs = outcome.logs;
  }
  Tell(record);
  if (!is_awaited && !Keeps(outcome.error.has_value())) {
    if (taken) taken();
    return;
  }
  store_.Append(std::move(record), std::move(taken));
}

bool ExecutionJournal::Keeps(bool has_failed) const {
  return options_.recording == Recording::kAll ||
         (has_failed && options_.recording == Recording::kFailures);
}

bool ExecutionJournal::TakesRefusal(const std::string& space, const std::string& function) {
  return IsBelowRate(space, function, options_.refusals_per_second, &refusals_);
}

bool ExecutionJournal::IsBelowRate(const std::string& space, const std::string& function, int limit,
                                   std::vector<Rate>* rates) {
  const std::hash<std::string> hash;
  const std::int64_t second = clock_.Monotonic().time_since_epoch().count() / 1'000'000;
  const std::lock_guard lock(rate_mutex_);
  Rate& rate = (*rates)[(hash(space) * 31 + hash(function)) % kRates];
  if (rate.second != second) rate = {second, 0};
  return rate.calls++ < limit;
}

void ExecutionJournal::Tell(const ExecutionRecord& record) {
  std::vector<std::shared_ptr<const Subscription>> interested;
  {
    const std::lock_guard lock(followers_mutex_);
    std::erase_if(followers_, [&](const std::weak_ptr<const Subscription>& weak) {
      auto follower = weak.lock();
      if (!follower) return true;
      if (follower->space == record.space &&
          (follower->function.empty() || follower->function == record.function)) {
        interested.push_back(std::move(follower));
      }
      return false;
    });
  }
  if (interested.empty()) return;
  const auto shared = std::make_shared<const ExecutionRecord>(record);
  for (const auto& follower : interested) follower->follower(shared);
}

std::shared_ptr<void> ExecutionJournal::Follow(std::string space, std::string function,
                                               Follower follower) {
  auto subscription = std::make_shared<const Subscription>(
      Subscription{std::move(space), std::move(function), std::move(follower)});
  const std::lock_guard lock(followers_mutex_);
  followers_.push_back(subscription);
  return std::const_pointer_cast<Subscription>(subscription);
}

}  // namespace penstock::executor
