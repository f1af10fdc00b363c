#include "services/function-executor/domain/deployments.h"

#include <fmt/format.h>

#include <algorithm>
#include <deque>
#include <map>
#include <mutex>
#include <set>
#include <utility>

#include "libs/base/utf8.h"

namespace penstock::executor {
namespace {

// A start of the executor with many versions that do not start is no storm.
constexpr int kTriesMax = 4;
constexpr Microseconds kDelayInitial{2'000'000};
constexpr Microseconds kDelayMax{300'000'000};
// The function-manager does not answer.
constexpr Microseconds kReportDelay{1'000'000};
constexpr std::size_t kLogLinesMax = 5;
constexpr std::size_t kLineBytesMax = 200;

std::string ReasonOf(const FunctionError& error, const Logs& logs) {
  std::string reason =
      error.type.empty() ? error.message : fmt::format("{}: {}", error.type, error.message);
  const std::vector<std::string>& lines = logs.err.empty() ? logs.out : logs.err;
  const std::size_t skipped = lines.size() - std::min(lines.size(), kLogLinesMax);
  for (std::size_t i = skipped; i < lines.size(); ++i) {
    reason += "\n";
    reason += CutUtf8(lines[i], kLineBytesMax);
  }
  return ToUtf8(reason);
}

}  // namespace

// The state, kept alive by callbacks.
class Deployments::Book : public std::enable_shared_from_this<Deployments::Book> {
 public:
  explicit Book(Ports ports) : ports_(std::move(ports)) {}

  void Apply(const std::vector<FunctionUpdate>& updates, bool is_snapshot);
  void Stop();

 private:
  using Key = std::pair<std::string, std::int64_t>;  // A function's uid and version.

  struct Entry {
    std::shared_ptr<const FunctionSpec> spec;
    Microseconds delay = kDelayInitial;
    std::shared_ptr<Timers::Handle> timer;  // While it waits to be tried again.
  };

  void Add(const FunctionUpdate& update);
  // Forgets the versions of `uid` that are not in `kept`.
  void Keep(const std::string& uid, const std::vector<std::int64_t>& kept);
  std::map<Key, Entry>::iterator Forget(std::map<Key, Entry>::iterator entry);
  // Starts what waits, as far as there is room.
  void Work();
  void OnStarted(const Key& key, const FunctionSpec& spec, const StartOutcome& outcome);
  void OnReported(const Key& key, const absl::StatusOr<bool>& is_ready);
  void TryLater(const Key& key, Entry* entry, Microseconds delay);

  const Ports ports_;
  std::mutex mutex_;
  std::map<Key, Entry> entries_;
  std::deque<Key> waiting_;
  int running_ = 0;
  bool is_working_ = false;  // A thread is in Work(), and sees what comes.
  bool stopping_ = false;
};

void Deployments::Book::Apply(const std::vector<FunctionUpdate>& updates, bool is_snapshot) {
  {
    const std::lock_guard lock(mutex_);
    if (is_snapshot) {
      std::set<std::string> there;
      for (const FunctionUpdate& update : updates) there.insert(update.uid);
      for (auto entry = entries_.begin(); entry != entries_.end();) {
        entry = there.contains(entry->first.first) ? std::next(entry) : Forget(entry);
      }
    }
    for (const FunctionUpdate& update : updates) {
      Add(update);
      if (update.is_older_version) continue;
      std::vector<std::int64_t> kept = update.kept;
      if (update.spec != nullptr) kept.push_back(update.version);
      Keep(update.uid, kept);
    }
  }
  Work();
}

void Deployments::Book::Add(const FunctionUpdate& update) {
  const bool is_process =
      update.spec != nullptr && std::holds_alternative<ProcessTarget>(update.spec->target);
  const Key key(update.uid, update.version);
  const auto known = entries_.find(key);
  if (!is_process || !update.is_unproven) {
    if (known != entries_.end()) Forget(known);
    return;
  }
  if (known != entries_.end()) return;
  entries_[key].spec = update.spec;
  waiting_.push_back(key);
}

void Deployments::Book::Keep(const std::string& uid, const std::vector<std::int64_t>& kept) {
  for (auto entry = entries_.lower_bound({uid, INT64_MIN});
       entry != entries_.end() && entry->first.first == uid;) {
    const bool stays = std::find(kept.begin(), kept.end(), entry->first.second) != kept.end();
    entry = stays ? std::next(entry) : Forget(entry);
  }
}

std::map<Deployments::Book::Key, Deployments::Book::Entry>::iterator Deployments::Book::Forget(
    std::map<Key, Entry>::iterator entry) {
  if (entry->second.timer) entry->second.timer->Cancel();
  return entries_.erase(entry);
}

void Deployments::Book::Work() {
  std::unique_lock lock(mutex_);
  if (is_working_) return;
  is_working_ = true;
  while (!stopping_ && running_ < kTriesMax && !waiting_.empty()) {
    const Key key = waiting_.front();
    waiting_.pop_front();
    const auto entry = entries_.find(key);
    if (entry == entries_.end()) continue;
    entry->second.timer = nullptr;
    const std::shared_ptr<const FunctionSpec> spec = entry->second.spec;
    ++running_;
    lock.unlock();
    ports_.start(spec, [self = shared_from_this(), key, spec](const StartOutcome& outcome) {
      self->OnStarted(key, *spec, outcome);
    });
    lock.lock();
  }
  is_working_ = false;
}

void Deployments::Book::OnStarted(const Key& key, const FunctionSpec& spec,
                                  const StartOutcome& outcome) {
  {
    const std::lock_guard lock(mutex_);
    if (stopping_) return;
  }
  DeploymentReport report{spec.space, spec.id, spec.uid, spec.version, !outcome.error, {}};
  if (outcome.error) report.reason = ReasonOf(*outcome.error, outcome.logs);
  ports_.report(std::move(report),
                [self = shared_from_this(), key](const absl::StatusOr<bool>& is_ready) {
                  self->OnReported(key, is_ready);
                });
}

void Deployments::Book::OnReported(const Key& key, const absl::StatusOr<bool>& is_ready) {
  {
    const std::lock_guard lock(mutex_);
    --running_;
    const auto entry = entries_.find(key);
    if (entry != entries_.end()) {
      // A function-manager that does not know the call has no use for it.
      const bool is_over = is_ready.ok() ? *is_ready
                                         : absl::IsNotFound(is_ready.status()) ||
                                               absl::IsUnimplemented(is_ready.status());
      if (is_over) {
        Forget(entry);
      } else if (!is_ready.ok()) {
        TryLater(key, &entry->second, kReportDelay);
      } else {
        TryLater(key, &entry->second, entry->second.delay);
        entry->second.delay = std::min(entry->second.delay * 2, kDelayMax);
      }
    }
  }
  Work();
}

void Deployments::Book::TryLater(const Key& key, Entry* entry, Microseconds delay) {
  if (stopping_) return;
  entry->timer = ports_.timers->RunAfter(delay, [weak = weak_from_this(), key] {
    const auto self = weak.lock();
    if (!self) return;
    {
      const std::lock_guard lock(self->mutex_);
      self->waiting_.push_back(key);
    }
    self->Work();
  });
}

void Deployments::Book::Stop() {
  const std::lock_guard lock(mutex_);
  stopping_ = true;
  while (!entries_.empty()) Forget(entries_.begin());
  waiting_.clear();
}

Deployments::Deployments(Ports ports) : book_(std::make_shared<Book>(std::move(ports))) {}

Deployments::~Deployments() { Stop(); }

void Deployments::Apply(const std::vector<FunctionUpdate>& updates, bool is_snapshot) {
  book_->Apply(updates, is_snapshot);
}

void Deployments::Stop() { book_->Stop(); }

}  // namespace penstock::executor
