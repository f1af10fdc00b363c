#include "services/event-broker/invoker/stream_invoker.h"

#include <algorithm>
#include <iterator>
#include <utility>

namespace penstock::broker {
namespace {

using namespace std::chrono_literals;

DeliveryResult NotSent(const DeliveryKey& key, int attempt, const char* type, const char* message) {
  DeliveryResult result;
  result.key = key;
  result.attempt = attempt;
  result.outcome = DeliveryOutcome::kRejected;
  result.error = {"SystemError", type, message};
  return result;
}

// The results of orders that no stream takes.
std::vector<DeliveryResult> NotSent(const std::vector<InvocationOrder>& orders, const char* type,
                                    const char* message) {
  std::vector<DeliveryResult> results;
  for (const InvocationOrder& order : orders) {
    results.push_back(NotSent(order.key, order.attempt, type, message));
    for (const InvocationOrder::Batched& further : order.batch) {
      results.push_back(NotSent(further.key, order.attempt, type, message));
    }
  }
  return results;
}

}  // namespace

StreamInvoker::StreamInvoker(Options options) : options_(std::move(options)) {}

StreamInvoker::~StreamInvoker() { Stop(); }

void StreamInvoker::Start(Listener listener) {
  listener_ = std::move(listener);
  settle_at_ = std::chrono::steady_clock::now() + options_.call_time_max + options_.doubt_grace;
  rpc::ReplicaSet::Options options;
  options.target = options_.address;
  options.channel.wire = options_.wire;
  options.resolver = options_.resolver;
  options.resolve_interval = options_.resolve_interval;
  options.on_added = [this](const rpc::Replica& replica) { AddTarget(replica); };
  options.on_removed = [this](const rpc::Replica& replica) { RemoveTarget(replica); };
  replicas_ = std::make_unique<rpc::ReplicaSet>(std::move(options));
  thread_ = std::thread([this] { Run(); });
  replicas_->Start();
}

void StreamInvoker::Run() {
  std::unique_lock lock(mutex_);
  while (!stopping_) {
    const auto now = std::chrono::steady_clock::now();
    SteadyTime next = now + 1s;
    if (!settled_) next = std::min(next, settle_at_);
    if (const auto over = doubtful_.next()) next = std::min(next, *over);
    const std::vector<Due> due = TakeDueTargets(now, &next);
    if (due.empty() && next > now) {
      wake_.wait_until(lock, next);
      if (stopping_) return;
    }
    // Calls are opened and results reported outside any lock and off the callback threads.
    lock.unlock();
    for (const Due& one : due) Connect(one);
    ReleaseOver();
    ReportSettled();
    EndHangingStreams();
    lock.lock();
  }
}

void StreamInvoker::Send(std::vector<InvocationOrder> orders) {
  if (in_doubt() >= options_.doubtful_max) {
    const auto ordered = std::stable_partition(
        orders.begin(), orders.end(), [](const InvocationOrder& order) { return !order.ordered; });
    const std::vector<InvocationOrder> refused(std::make_move_iterator(ordered),
                                               std::make_move_iterator(orders.end()));
    orders.erase(ordered, orders.end());
    Report(NotSent(refused, "TooManyInDoubt", "too many ordered calls on lost executors may run"));
  }
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
  Report(NotSent(orders, "NoExecutor", "no executor has room"));
}

void StreamInvoker::Cancel(const DeliveryKey& key, int attempt) {
  for (const auto& stream : Streams()) {
    if (stream->Cancel(key, attempt)) return;
  }
}

void StreamInvoker::Report(std::vector<DeliveryResult> results) {
  if (!results.empty()) listener_.on_results(std::move(results));
}

std::vector<std::shared_ptr<ExecutorStream>> StreamInvoker::Streams() const {
  std::vector<std::shared_ptr<ExecutorStream>> streams;
  const std::lock_guard lock(mutex_);
  for (const auto& [address, target] : targets_) {
    if (target.stream) streams.push_back(target.stream);
  }
  return streams;
}

std::vector<std::shared_ptr<ExecutorStream>> StreamInvoker::StreamsByFreeCredit() const {
  std::vector<std::pair<std::size_t, std::shared_ptr<ExecutorStream>>> free;
  for (auto& stream : Streams()) {
    const std::size_t credit = stream->credit();
    const std::size_t used = stream->in_flight();
    if (credit > used) free.emplace_back(credit - used, std::move(stream));
  }
  // Those with the same take turns: otherwise what comes one by one always meets the first.
  if (!free.empty()) {
    const std::size_t turn = turn_.fetch_add(1, std::memory_order_relaxed) % free.size();
    std::rotate(free.begin(), free.begin() + static_cast<std::ptrdiff_t>(turn), free.end());
  }
  std::stable_sort(free.begin(), free.end(),
                   [](const auto& a, const auto& b) { return a.first > b.first; });
  std::vector<std::shared_ptr<ExecutorStream>> streams;
  for (auto& [credit, stream] : free) streams.push_back(std::move(stream));
  return streams;
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
  const auto streams = Streams();
  return static_cast<std::size_t>(std::count_if(
      streams.begin(), streams.end(), [](const auto& stream) { return stream->credit() > 0; }));
}

std::size_t StreamInvoker::in_doubt() const {
  const std::lock_guard lock(mutex_);
  return doubtful_.size();
}

void StreamInvoker::Stop() {
  if (replicas_) replicas_->Stop();
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  wake_.notify_all();
  if (thread_.joinable()) thread_.join();
  for (const auto& stream : Streams()) stream->End();
  std::vector<DeliveryResult> results;
  {
    std::unique_lock lock(mutex_);
    wake_.wait(lock, [this] { return open_streams_ == 0; });
    results = doubtful_.TakeAll();
  }
  Report(std::move(results));
}

}  // namespace penstock::broker
