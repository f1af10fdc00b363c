#include "services/function-executor/middleware/transform/jq_pool.h"

#include <algorithm>
#include <atomic>
#include <future>
#include <list>
#include <mutex>
#include <unordered_map>
#include <utility>
#include <vector>

#include "libs/jq/check.h"
#include "services/function-executor/middleware/transform/jq_worker.h"

namespace penstock::executor {

// All but Run, Stop and workers() on the loop's thread.
class JqPool::Core {
 public:
  Core(Options options, const Clock& clock)
      : options_(Completed(std::move(options))),
        clock_(clock),
        loop_("jq"),
        services_{options_,
                  clock_,
                  loop_,
                  [this](const std::string& program, bool at_limit) {
                    if (at_limit) Mistrust(program);
                    ScheduleSoon();
                  },
                  [this](std::shared_ptr<JqJob> job) { queue_.push_front(std::move(job)); },
                  [this](JqWorker* worker) { OnExit(worker); }} {}

  void Run(std::shared_ptr<JqJob> job) {
    {
      const std::lock_guard lock(post_mutex_);
      if (!stopping_) return loop_.Post([this, job = std::move(job)] { Submit(job); });
    }
    job->Finish(JqResult::Kind::kUnavailable, "the executor is stopping");
  }

  void Stop() {
    const std::lock_guard stop_lock(stop_mutex_);
    std::promise<void> ended;
    {
      const std::lock_guard lock(post_mutex_);
      if (std::exchange(stopping_, true)) return;
      loop_.Post([this, &ended] {
        on_all_ended_ = [&ended] { ended.set_value(); };
        EndAll();
      });
    }
    ended.get_future().wait();
    loop_.Stop();
  }

  int workers() const { return alive_.load(); }

 private:
  using Queue = std::list<std::shared_ptr<JqJob>>;

  static Options Completed(Options options) {
    if (options.worker_path.empty()) options.worker_path = jq::FindWorker();
    return options;
  }

  void Submit(const std::shared_ptr<JqJob>& job) {
    // What was given in time for it may have come after the end.
    if (on_all_ended_) {
      return job->Finish(JqResult::Kind::kUnavailable, "the executor is stopping");
    }
    const Microseconds left = job->deadline - clock_.Monotonic();
    if (left <= Microseconds(0)) return job->Finish(JqResult::Kind::kDeadline);
    if (queue_.size() >= options_.queue_max) return job->Finish(JqResult::Kind::kBusy);
    job->deadline_timer.emplace(loop_);
    job->deadline_timer->Set(left, [this, job] { OnDeadline(job); });
    queue_.push_back(job);
    Schedule();
  }

  void OnDeadline(const std::shared_ptr<JqJob>& job) {
    queue_.remove(job);
    for (const auto& worker : workers_) {
      if (worker->has(*job)) worker->Hurry();
    }
    job->Finish(JqResult::Kind::kDeadline);
  }

  // Never inside a call of a worker, which may be in the middle of something.
  void ScheduleSoon() {
    loop_.Post([this] { Schedule(); });
  }

  void Schedule() {
    while (!on_all_ended_) {
      const auto next = std::find_if(queue_.begin(), queue_.end(),
                                     [this](const auto& job) { return MayRun(*job->program); });
      if (next == queue_.end()) return;
      const std::shared_ptr<JqJob> job = *next;
      JqWorker* worker = FindIdle(*job->program);
      if (worker == nullptr && workers_.size() >= static_cast<std::size_t>(options_.workers_max)) {
        return;
      }
      queue_.erase(next);
      if (worker == nullptr) {
        auto started = JqWorker::Start(options_.worker_path, services_);
        if (!started.ok()) {
          job->Finish(JqResult::Kind::kUnavailable, std::string(started.status().message()));
          continue;
        }
        ++alive_;
        workers_.push_back(*started);
        worker = started->get();
      }
      worker->Take(job);
    }
  }

  // One that has the program compiled rather than another.
  JqWorker* FindIdle(const std::string& program) const {
    JqWorker* found = nullptr;
    for (const auto& worker : workers_) {
      if (!worker->idle()) continue;
      if (worker->knows(program)) return worker.get();
      found = worker.get();
    }
    return found;
  }

  // A program that was stopped by a limit leaves one worker to others, where there are two.
  bool MayRun(const std::string& program) {
    const auto found = mistrusted_.find(program);
    if (found == mistrusted_.end()) return true;
    if (found->second <= clock_.Monotonic()) {
      mistrusted_.erase(found);
      return true;
    }
    const auto running = std::count_if(workers_.begin(), workers_.end(),
                                       [&](const auto& worker) { return worker->runs(program); });
    return running < std::max(1, options_.workers_max - 1);
  }

  void Mistrust(const std::string& program) {
    const MonotonicTime now = clock_.Monotonic();
    std::erase_if(mistrusted_, [&](const auto& entry) { return entry.second <= now; });
    mistrusted_[program] = now + options_.mistrust_time;
  }

  void OnExit(JqWorker* worker) {
    // It is still in its OnExit.
    loop_.Post([this, worker] {
      std::erase_if(workers_, [&](const auto& one) { return one.get() == worker; });
      --alive_;
      if (on_all_ended_) return TellIfAllEnded();
      Schedule();
    });
  }

  void EndAll() {
    for (const auto& job : std::exchange(queue_, {})) {
      job->Finish(JqResult::Kind::kUnavailable, "the executor is stopping");
    }
    for (const auto& worker : std::vector(workers_.begin(), workers_.end())) worker->Stop();
    TellIfAllEnded();
  }

  void TellIfAllEnded() {
    if (workers_.empty()) on_all_ended_();
  }

  const Options options_;
  const Clock& clock_;
  std::atomic<int> alive_{0};
  EventLoop loop_;
  const JqWorker::Services services_;

  Queue queue_;
  std::list<std::shared_ptr<JqWorker>> workers_;
  std::unordered_map<std::string, MonotonicTime> mistrusted_;  // Until when.
  std::function<void()> on_all_ended_;                         // Set while stopping.

  std::mutex post_mutex_;  // Orders what is posted before the post that stops everything.
  bool stopping_ = false;  // Guarded by post_mutex_.
  std::mutex stop_mutex_;  // One Stop at a time; the others wait for it.
};

JqPool::JqPool(Options options, const Clock& clock)
    : core_(std::make_unique<Core>(std::move(options), clock)) {}

JqPool::~JqPool() { Stop(); }

void JqPool::Run(std::shared_ptr<const std::string> program,
                 std::shared_ptr<const std::string> input, MonotonicTime deadline, Done done) {
  auto job = std::make_shared<JqJob>();
  job->program = std::move(program);
  job->input = std::move(input);
  job->deadline = deadline;
  job->done = std::move(done);
  core_->Run(std::move(job));
}

void JqPool::Stop() { core_->Stop(); }

int JqPool::workers() const { return core_->workers(); }

}  // namespace penstock::executor
