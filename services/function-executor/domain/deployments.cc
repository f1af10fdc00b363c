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
    int failures = 0;
    bool is_reached = true;   // By calls that do not name it by its number; the newest always is.
    bool is_resting = false;  // It has failed, and is not reached.
    std::shared_ptr<Timers::Handle> timer{};  // While it waits to be tried again.
  };

  void Add(const FunctionUpdate& update, bool is_first);
  // Forgets the versions that `update`, of a function, does not keep.
  void Keep(const FunctionUpdate& update);
  std::map<Key, Entry>::iterator Forget(std::map<Key, Entry>::iterator entry);
  // Starts what waits, as far as there is room.
  void Work();
  void OnStarted(const Key& key, const FunctionSpec& spec, const StartOutcome& outcome);
  void OnReported(const Key& key, const absl::StatusOr<bool>& is_ready);
  void TryLater(const Key& key, Entry* entry);
  void TryAfter(Microseconds delay, const Key& key, Entry* entry);

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
      // Somebody waits for what was just deployed.
      Add(update, !is_snapshot);
      if (!update.is_older_version) Keep(update);
    }
  }
  Work();
}

void Deployments::Book::Add(const FunctionUpdate& update, bool is_first) {
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
  is_first ? waiting_.push_front(key) : waiting_.push_back(key);
}

void Deployments::Book::Keep(const FunctionUpdate& update) {
  std::set<std::int64_t> reached;
  if (update.spec != nullptr) reached.insert(update.version);
  for (const TrafficShare& share : update.traffic) reached.insert(share.version);
  for (const auto& [alias, version] : update.aliases) reached.insert(version);
  const std::set<std::int64_t> kept(update.kept.begin(), update.kept.end());
  for (auto entry = entries_.lower_bound({update.uid, INT64_MIN});
       entry != entries_.end() && entry->first.first == update.uid;) {
    const std::int64_t version = entry->first.second;
    entry->second.is_reached = reached.contains(version);
    if (!entry->second.is_reached && !kept.contains(version)) {
      entry = Forget(entry);
      continue;
    }
    if (entry->second.is_reached && std::exchange(entry->second.is_resting, false)) {
      waiting_.push_back(entry->first);
    }
    ++entry;
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
  bool is_reported = true;
  {
    const std::lock_guard lock(mutex_);
    if (stopping_) return;
    const auto entry = entries_.find(key);
    if (entry != entries_.end() && outcome.error) {
      const bool is_first = ++entry->second.failures == 1;
      is_reported = !is_first || outcome.error->category != ErrorCategory::kSystem;
      if (!is_reported) {
        --running_;
        TryLater(key, &entry->second);
      }
    }
  }
  if (!is_reported) return Work();
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
        TryAfter(kReportDelay, key, &entry->second);
      } else {
        TryLater(key, &entry->second);
      }
    }
  }
  Work();
}

void Deployments::Book::TryLater(const Key& key, Entry* entry) {
  entry->is_resting = !entry->is_reached;
  if (entry->is_resting) return;
  TryAfter(entry->delay, key, entry);
  entry->delay = std::min(entry->delay * 2, kDelayMax);
}

void Deployments::Book::TryAfter(Microseconds delay, const Key& key, Entry* entry) {
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
