#include "services/function-executor/drivers/process/process_driver.h"

#include <atomic>
#include <cstdlib>
#include <filesystem>
#include <future>
#include <map>
#include <mutex>
#include <string_view>
#include <system_error>
#include <utility>

#include "libs/base/callback_guard.h"
#include "libs/base/worker_pool.h"
#include "services/function-executor/drivers/process/event_loop.h"
#include "services/function-executor/drivers/process/function_pool.h"
#include "services/function-executor/drivers/process/pending_call.h"
#include "services/function-executor/drivers/process/program.h"
#include "services/function-executor/drivers/process/source_cache.h"

namespace penstock::executor {
namespace {

namespace fs = std::filesystem;

constexpr char kLauncherName[] = "penstock-launch";
// No uid begins with a dot (Program).
constexpr char kSourcesFolder[] = ".sources";

std::string FindLauncher() {
  std::error_code error;
  const fs::path folder = fs::read_symlink("/proc/self/exe", error).parent_path();
  const fs::path beside = folder / kLauncherName;
  if (fs::exists(beside, error)) return beside.string();
  return (folder.parent_path() / "bin" / kLauncherName).string();
}

// The launcher looks in the PATH of the worker, which is not ours: the program is found here. The
// distribution's own comes first, because what else is in PATH is often a slow wrapper script.
std::string FindProgram(const std::string& name) {
  if (name.find('/') != std::string::npos) return name;
  const char* path = std::getenv("PATH");
  const std::string all = "/usr/bin:" + std::string(path == nullptr ? "" : path);
  std::string_view folders = all;
  while (!folders.empty()) {
    const std::size_t end = folders.find(':');
    const fs::path candidate = fs::path(folders.substr(0, end)) / name;
    std::error_code error;
    if (candidate.is_absolute() && fs::is_regular_file(candidate, error)) return candidate.string();
    if (end == std::string_view::npos) break;
    folders.remove_prefix(end + 1);
  }
  return name;
}

ProcessDriverOptions Completed(ProcessDriverOptions options) {
  std::error_code error;
  // Workers run in other folders: a relative path would mean another one there.
  options.work_dir = fs::absolute(options.work_dir, error).string();
  if (options.launcher_path.empty()) options.launcher_path = FindLauncher();
  options.python = FindProgram(options.python);
  options.node = FindProgram(options.node);
  return options;
}

}  // namespace

// The driver's state. Handles of calls hold it weakly, so they may outlive the driver.
class ProcessDriver::Core : public std::enable_shared_from_this<ProcessDriver::Core> {
 public:
  Core(Options options, const Clock& clock)
      : options_(Completed(std::move(options))),
        clock_(clock),
        loop_("process-io"),
        files_({.name = "process-files", .threads = 1, .queue_max = 1U << 20}),
        sources_(options_.work_dir + "/" + kSourcesFolder, options_.sources,
                 options_.unused_source_bytes_max),
        services_{options_, clock_, loop_, files_, sources_, workers_} {
    (void)files_.TryPost([work_dir = options_.work_dir] { RemoveLeftovers(work_dir); });
  }

  void Start(std::shared_ptr<PendingCall> call);
  void Cancel(const std::shared_ptr<PendingCall>& call);
  void TryStart(std::shared_ptr<const FunctionSpec> function,
                std::function<void(StartOutcome)> done);
  void Forget(const std::string& uid, std::int64_t version);
  void Keep(const std::string& uid, std::vector<std::shared_ptr<const FunctionSpec>> versions);
  void Stop();
  int workers() const { return workers_.load(); }

 private:
  using Key = std::pair<std::string, std::int64_t>;  // A function's uid and version.

  // Runs `function` on the loop, unless the driver is stopping.
  bool Post(std::function<void()> function);
  FunctionPool& PoolOf(const std::shared_ptr<const FunctionSpec>& function);
  void OnPoolEnded(const Key& key);

  const Options options_;
  const Clock& clock_;
  std::atomic<int> workers_{0};
  EventLoop loop_;
  WorkerPool files_;
  SourceCache sources_;
  const PoolServices services_;

  // On the loop's thread.
  std::map<Key, std::shared_ptr<FunctionPool>> pools_;
  std::function<void()> on_all_ended_;  // Set while stopping.

  std::mutex post_mutex_;  // Orders posted calls before the post that stops everything.
  bool stopping_ = false;  // Guarded by post_mutex_.
  std::mutex stop_mutex_;  // One Stop at a time; the others wait for it.
  bool stopped_ = false;   // Guarded by stop_mutex_.
};

bool ProcessDriver::Core::Post(std::function<void()> function) {
  const std::lock_guard lock(post_mutex_);
  if (stopping_) return false;
  loop_.Post(std::move(function));
  return true;
}

void ProcessDriver::Core::Start(std::shared_ptr<PendingCall> call) {
  if (!std::holds_alternative<ProcessTarget>(call->invocation.function->target)) {
    call->Fail({.category = ErrorCategory::kSystem,
                .type = "WrongDriver",
                .message = "the function does not run as a process"});
    return;
  }
  const bool posted = Post([this, call] { PoolOf(call->invocation.function).Submit(call); });
  if (!posted) call->Fail(ExecutorStopping());
}

void ProcessDriver::Core::Cancel(const std::shared_ptr<PendingCall>& call) {
  (void)Post([this, call] {
    if (call->finished) return;
    PoolOf(call->invocation.function)
        .Abort(call, {.type = "Cancelled", .message = "the call was cancelled"});
  });
}

void ProcessDriver::Core::TryStart(std::shared_ptr<const FunctionSpec> function,
                                   std::function<void(StartOutcome)> done) {
  const bool posted = Post([this, function, done] { PoolOf(function).TryStart(done); });
  if (!posted) done({ExecutorStopping(), {}});
}

FunctionPool& ProcessDriver::Core::PoolOf(const std::shared_ptr<const FunctionSpec>& function) {
  const Key key(function->uid, function->version);
  std::shared_ptr<FunctionPool>& pool = pools_[key];
  if (!pool) {
    pool = std::make_shared<FunctionPool>(services_, function, [this, key] { OnPoolEnded(key); });
  }
  return *pool;
}

void ProcessDriver::Core::OnPoolEnded(const Key& key) {
  // The pool is still in one of its methods: it goes after that.
  const auto pool = pools_.find(key);
  loop_.Post([ended = pool->second] {});
  pools_.erase(pool);
  if (pools_.empty() && on_all_ended_) on_all_ended_();
}

void ProcessDriver::Core::Forget(const std::string& uid, std::int64_t version) {
  (void)Post([this, uid, version] {
    std::vector<std::shared_ptr<FunctionPool>> old;
    for (auto pool = pools_.lower_bound({uid, INT64_MIN});
         pool != pools_.end() && pool->first.first == uid && pool->first.second < version; ++pool) {
      old.push_back(pool->second);
    }
    for (const auto& pool : old) pool->Retire();
  });
}

void ProcessDriver::Core::Keep(const std::string& uid,
                               std::vector<std::shared_ptr<const FunctionSpec>> versions) {
  (void)Post([this, uid, versions = std::move(versions)] {
    std::map<Key, std::shared_ptr<FunctionPool>> others(pools_.lower_bound({uid, INT64_MIN}),
                                                        pools_.upper_bound({uid, INT64_MAX}));
    for (const auto& version : versions) {
      others.erase({version->uid, version->version});
      PoolOf(version).SetKept(true);
    }
    for (const auto& [key, pool] : others) pool->SetKept(false);
  });
}

void ProcessDriver::Core::Stop() {
  AssertMayBlock("ProcessDriver::Stop");
  const std::lock_guard stop_lock(stop_mutex_);
  if (std::exchange(stopped_, true)) return;
  sources_.EndFetches();  // Pools wait for the starts that they have begun.
  std::promise<void> ended;
  {
    const std::lock_guard lock(post_mutex_);
    stopping_ = true;
    loop_.Post([this, &ended] {
      std::vector<std::shared_ptr<FunctionPool>> pools;
      for (const auto& [key, pool] : pools_) pools.push_back(pool);
      if (pools.empty()) {
        ended.set_value();
        return;
      }
      on_all_ended_ = [&ended] { ended.set_value(); };
      for (const auto& pool : pools) pool->Stop();
    });
  }
  ended.get_future().wait();
  sources_.Stop();
  files_.Stop();  // Removes the folders.
  loop_.Stop();
}

namespace {

// What callers hold: it keeps neither the driver nor the call alive.
class CallHandle final : public Driver::Call {
 public:
  explicit CallHandle(std::function<void()> cancel) : cancel_(std::move(cancel)) {}
  void Cancel() override { cancel_(); }

 private:
  const std::function<void()> cancel_;
};

}  // namespace

ProcessDriver::ProcessDriver(Options options, const Clock& clock)
    : core_(std::make_shared<Core>(std::move(options), clock)) {}

ProcessDriver::~ProcessDriver() { core_->Stop(); }

std::shared_ptr<Driver::Call> ProcessDriver::Start(Invocation invocation, Done done) {
  const auto call = std::make_shared<PendingCall>();
  call->invocation = std::move(invocation);
  call->done = std::move(done);
  const std::weak_ptr<Core> weak_core = core_;
  const std::weak_ptr<PendingCall> weak_call = call;
  core_->Start(call);
  return std::make_shared<CallHandle>([weak_core, weak_call] {
    const std::shared_ptr<Core> core = weak_core.lock();
    const std::shared_ptr<PendingCall> pending = weak_call.lock();
    if (core && pending) core->Cancel(pending);
  });
}

void ProcessDriver::TryStart(std::shared_ptr<const FunctionSpec> function,
                             std::function<void(StartOutcome)> done) {
  core_->TryStart(std::move(function), std::move(done));
}

void ProcessDriver::Forget(const std::string& uid, std::int64_t version) {
  core_->Forget(uid, version);
}

void ProcessDriver::Keep(const std::string& uid,
                         std::vector<std::shared_ptr<const FunctionSpec>> versions) {
  core_->Keep(uid, std::move(versions));
}

void ProcessDriver::Stop() { core_->Stop(); }

int ProcessDriver::workers() const { return core_->workers(); }

}  // namespace penstock::executor
