#include "services/event-broker/invoker/stream_invoker.h"

#include <algorithm>
#include <utility>

#include "libs/log/log.h"

namespace penstock::broker {
namespace {

using namespace std::chrono_literals;

std::chrono::milliseconds DelayAfter(int failures) {
  return std::min<std::chrono::milliseconds>(100ms * (1 << std::clamp(failures - 1, 0, 6)), 5s);
}

}  // namespace

StreamInvoker::StreamInvoker(std::string address, std::shared_ptr<const rpc::PeerAuth> auth)
    : address_(std::move(address)), auth_(std::move(auth)) {}

StreamInvoker::~StreamInvoker() { Stop(); }

void StreamInvoker::Start(Listener listener) {
  listener_ = std::move(listener);
  thread_ = std::thread([this] { Run(); });
  rpc::ReplicaSet::Options options;
  options.target = address_;
  options.on_added = [this](const rpc::Replica& replica) {
    {
      const std::lock_guard lock(mutex_);
      Target& target = targets_[replica.address];
      target.replica = replica;
      target.connect_at = std::chrono::steady_clock::now();
    }
    wake_.notify_one();
  };
  options.on_removed = [this](const rpc::Replica& replica) {
    std::shared_ptr<ExecutorStream> stream;
    {
      const std::lock_guard lock(mutex_);
      const auto at = targets_.find(replica.address);
      if (at == targets_.end()) return;
      stream = at->second.stream;
      targets_.erase(at);
    }
    if (stream) stream->End();
    ReportCapacity();
  };
  replicas_ = std::make_unique<rpc::ReplicaSet>(std::move(options));
  replicas_->Start();
}

// Connects what is due. Calls are opened here, outside any lock and off the callback threads.
void StreamInvoker::Run() {
  std::unique_lock lock(mutex_);
  while (!stopping_) {
    const auto now = std::chrono::steady_clock::now();
    SteadyTime next = now + 1s;
    struct Due {
      std::string address;
      rpc::Replica replica;
      std::uint64_t generation;
    };
    std::vector<Due> due;
    for (auto& [address, target] : targets_) {
      if (target.stream != nullptr || target.generation != 0) continue;
      if (target.connect_at > now) {
        next = std::min(next, target.connect_at);
        continue;
      }
      target.generation = next_generation_++;
      ++open_streams_;
      due.push_back({address, target.replica, target.generation});
    }
    if (due.empty()) {
      wake_.wait_until(lock, next);
      continue;
    }
    lock.unlock();
    for (const Due& one : due) Connect(one.address, one.replica, one.generation);
    lock.lock();
  }
}

void StreamInvoker::Connect(const std::string& address, const rpc::Replica& replica,
                            std::uint64_t generation) {
  auto stream = ExecutorStream::Start(
      replica, auth_,
      {
          .on_results =
              [this](std::vector<DeliveryResult> results) {
                listener_.on_results(std::move(results));
              },
          .on_credit = [this] { ReportCapacity(); },
          .on_end = [this, address, generation](
                        const absl::Status& status) { OnEnd(address, generation, status); },
      });
  bool unwanted = false;
  {
    const std::lock_guard lock(mutex_);
    const auto at = targets_.find(address);
    unwanted = stopping_ || at == targets_.end() || at->second.generation != generation;
    if (!unwanted) at->second.stream = stream;
  }
  if (unwanted) stream->End();
  ReportCapacity();
}

void StreamInvoker::OnEnd(const std::string& address, std::uint64_t generation,
                          const absl::Status& status) {
  {
    const std::lock_guard lock(mutex_);
    const auto at = targets_.find(address);
    if (at != targets_.end() && at->second.generation == generation) {
      Target& target = at->second;
      const bool worked = target.stream != nullptr && target.stream->worked();
      target.failures = worked ? 1 : target.failures + 1;
      target.stream = nullptr;
      target.generation = 0;
      target.connect_at = std::chrono::steady_clock::now() + DelayAfter(target.failures);
      if (target.failures == 1 && !stopping_) {
        log::Warn("the stream to an executor ended",
                  {{"address", address}, {"reason", std::string(status.message())}});
      }
    }
  }
  ReportCapacity();
  {
    const std::lock_guard lock(mutex_);
    --open_streams_;
    wake_.notify_all();
  }
}

std::vector<std::shared_ptr<ExecutorStream>> StreamInvoker::StreamsByFreeCredit() const {
  std::vector<std::pair<std::size_t, std::shared_ptr<ExecutorStream>>> free;
  {
    const std::lock_guard lock(mutex_);
    for (const auto& [address, target] : targets_) {
      if (target.stream == nullptr) continue;
      const std::size_t credit = target.stream->credit();
      const std::size_t used = target.stream->in_flight();
      if (credit > used) free.emplace_back(credit - used, target.stream);
    }
  }
  std::stable_sort(free.begin(), free.end(),
                   [](const auto& a, const auto& b) { return a.first > b.first; });
  std::vector<std::shared_ptr<ExecutorStream>> streams;
  for (auto& [credit, stream] : free) streams.push_back(std::move(stream));
  return streams;
}

void StreamInvoker::Send(std::vector<InvocationOrder> orders) {
  // Streams take from the end; the oldest order is to leave first.
  std::reverse(orders.begin(), orders.end());
  const auto streams = StreamsByFreeCredit();
  // Each replica gets an equal share first, the rest goes where there is room.
  for (std::size_t i = 0; i < streams.size() && !orders.empty(); ++i) {
    const std::size_t share = (orders.size() + streams.size() - i - 1) / (streams.size() - i);
    std::vector<InvocationOrder> part(
        std::make_move_iterator(orders.end() - static_cast<std::ptrdiff_t>(share)),
        std::make_move_iterator(orders.end()));
    orders.resize(orders.size() - share);
    streams[i]->TakeFrom(part);
    std::move(part.begin(), part.end(), std::back_inserter(orders));
  }
  for (std::size_t i = 0; i < streams.size() && !orders.empty(); ++i) streams[i]->TakeFrom(orders);
  if (orders.empty()) return;
  std::vector<DeliveryResult> rejected;
  for (const InvocationOrder& order : orders) {
    DeliveryResult result;
    result.key = order.key;
    result.attempt = order.attempt;
    result.outcome = DeliveryOutcome::kRejected;
    result.error = {"SystemError", "NoExecutor", "no executor has room"};
    rejected.push_back(std::move(result));
  }
  listener_.on_results(std::move(rejected));
}

void StreamInvoker::Cancel(const DeliveryKey& key, int attempt) {
  std::vector<std::shared_ptr<ExecutorStream>> streams;
  {
    const std::lock_guard lock(mutex_);
    for (const auto& [address, target] : targets_) {
      if (target.stream) streams.push_back(target.stream);
    }
  }
  for (const auto& stream : streams) {
    if (stream->Cancel(key, attempt)) return;
  }
}

void StreamInvoker::ReportCapacity() {
  std::size_t capacity = 0;
  {
    const std::lock_guard lock(mutex_);
    for (const auto& [address, target] : targets_) {
      if (target.stream) capacity += target.stream->credit();
    }
    if (capacity == capacity_) return;
    capacity_ = capacity;
  }
  listener_.on_capacity(capacity);
}

std::size_t StreamInvoker::connected() const {
  const std::lock_guard lock(mutex_);
  return static_cast<std::size_t>(std::count_if(
      targets_.begin(), targets_.end(),
      [](const auto& entry) { return entry.second.stream && entry.second.stream->credit() > 0; }));
}

void StreamInvoker::Stop() {
  if (replicas_) replicas_->Stop();
  std::vector<std::shared_ptr<ExecutorStream>> streams;
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
    for (auto& [address, target] : targets_) {
      if (target.stream) streams.push_back(target.stream);
    }
  }
  wake_.notify_all();
  if (thread_.joinable()) thread_.join();
  for (const auto& stream : streams) stream->End();
  std::unique_lock lock(mutex_);
  wake_.wait(lock, [this] { return open_streams_ == 0; });
}

}  // namespace penstock::broker
