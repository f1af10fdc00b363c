#include "tests/sim/executors.h"

#include <algorithm>
#include <utility>

#include "tests/sim/events.h"

namespace penstock::broker::sim {
namespace {

using namespace std::chrono_literals;

constexpr Microseconds kTimeoutDefault = 5s;
constexpr Microseconds kAfterDeadline = 5s;  // Then a call in doubt counts as over.

}  // namespace

// The broker's end of all streams of one epoch.
class Executors::Stream final : public Invoker {
 public:
  Stream(Executors& executors, std::int64_t epoch) : executors_(executors), epoch_(epoch) {}
  void Start(Listener listener) override {
    executors_.listener_ = std::move(listener);
    for (std::size_t i = 0; i < executors_.executors_.size(); ++i) executors_.Open(i);
  }
  void Send(std::vector<InvocationOrder> orders) override {
    if (executors_.epoch_ == epoch_) executors_.Send(std::move(orders));
  }
  void Cancel(const DeliveryKey& key, int attempt) override {
    if (executors_.epoch_ == epoch_) executors_.Cancel(key, attempt);
  }
  void Stop() override {}

 private:
  Executors& executors_;
  const std::int64_t epoch_;
};

Executors::Executors(World& world, Oracle& oracle, Flaw flaw, int count, int slots)
    : world_(world),
      oracle_(oracle),
      flaw_(flaw),
      slots_(slots),
      executors_(static_cast<std::size_t>(count)) {}

std::unique_ptr<Invoker> Executors::Connect(std::int64_t epoch) {
  epoch_ = epoch;
  settled_ = false;
  return std::make_unique<Stream>(*this, epoch);
}

void Executors::BrokerDied() {
  listener_.reset();
  for (Executor& executor : executors_) {
    executor.stream = 0;
    executor.credited = false;
    executor.used = 0;
  }
  for (auto& [id, call] : calls_) {
    if (call.stage == Stage::kEnded || call.answered) continue;
    call.answered = true;
    // Executors notice, sooner or later, that the stream is gone. What travels may still arrive.
    if (call.stage == Stage::kRunning) {
      world_.After(world_.dice.Delay(0, 2'000'000), [this, id = id] { Kill(id); });
    } else if (world_.dice.Chance(0.4)) {
      call.stage = Stage::kEnded;
    }
  }
}

void Executors::Open(std::size_t index) {
  const std::int64_t epoch = epoch_;
  const auto low = calm_ ? 1'000 : 20'000;
  world_.After(world_.dice.Delay(low, calm_ ? 50'000 : 1'500'000), [this, index, epoch] {
    Executor& executor = executors_[index];
    if (epoch != epoch_ || !listener_ || !executor.up || executor.stream != 0) return;
    executor.stream = next_stream_++;
    executor.epoch = std::max(executor.epoch, epoch);
    executor.used = 0;
    TryCredit(index);
  });
}

bool Executors::RunsOlder(std::size_t index) const {
  return std::any_of(calls_.begin(), calls_.end(), [&](const auto& entry) {
    const Call& call = entry.second;
    return call.executor == index && call.stage == Stage::kRunning &&
           call.stream != executors_[index].stream;
  });
}

// Credit comes once every call of an earlier stream has ended.
void Executors::TryCredit(std::size_t index) {
  Executor& executor = executors_[index];
  if (executor.stream == 0 || executor.credited || RunsOlder(index)) return;
  executor.credited = true;
  Report();
}

void Executors::Report() {
  if (!listener_) return;
  std::size_t slots = 0;
  bool all = true;
  for (const Executor& executor : executors_) {
    if (executor.credited) slots += static_cast<std::size_t>(slots_);
    all = all && (executor.credited || !executor.up);
  }
  listener_->on_capacity(slots);
  oracle_.OnCapacity(slots);
  if (!all || settled_) return;
  settled_ = true;
  listener_->on_settled();
}

void Executors::Send(std::vector<InvocationOrder> orders) {
  for (InvocationOrder& order : orders) SendOne(std::move(order));
}

void Executors::SendOne(InvocationOrder order) {
  oracle_.OnSend(order);
  std::vector<std::size_t> free;
  for (std::size_t i = 0; i < executors_.size(); ++i) {
    if (executors_[i].credited && executors_[i].used < slots_) free.push_back(i);
  }
  const std::uint64_t id = next_call_++;
  Call& call = calls_[id];
  call.order = std::move(order);
  call.sent = world_.clock.Monotonic();
  if (free.empty()) {
    call.stage = Stage::kEnded;
    return Answer(id, ResultsOf(call.order, DeliveryOutcome::kRejected, "NoExecutor"), 1ms);
  }
  call.executor = world_.dice.Pick(free);
  call.stream = executors_[call.executor].stream;
  ++executors_[call.executor].used;
  // Some messages take much longer than those sent after them.
  const bool slow = !calm_ && world_.dice.Chance(0.03);
  world_.After(world_.dice.Delay(50, slow ? 3'000'000 : 3'000), [this, id] { Arrive(id); });
}

void Executors::Arrive(std::uint64_t id) {
  Call& call = calls_.at(id);
  if (call.stage != Stage::kTravelling) return;
  const Executor& executor = executors_[call.executor];
  const bool stale = call.order.epoch < executor.epoch;
  if (!executor.up || (stale && flaw_ != Flaw::kStaleEpochAccepted)) {
    call.stage = Stage::kEnded;
    return;
  }
  call.stage = Stage::kRunning;
  oracle_.OnCallStart(id, call.order);
  Microseconds takes{0};
  call.results = Decide(call, takes);
  world_.After(takes, [this, id] { End(id); });
}

void Executors::End(std::uint64_t id) {
  Call& call = calls_.at(id);
  if (call.stage != Stage::kRunning) return;
  call.stage = Stage::kEnded;
  oracle_.OnCallEnd(id, call.order, call.results);
  if (!call.answered && call.stream == executors_[call.executor].stream) {
    Answer(id, call.results, world_.dice.Delay(50, 3'000));
  }
  TryCredit(call.executor);
}

// The executor gives a call up: it ends without a result that counts.
void Executors::Kill(std::uint64_t id) {
  Call& call = calls_.at(id);
  if (call.stage != Stage::kRunning) return;
  call.stage = Stage::kEnded;
  oracle_.OnCallEnd(id, call.order, {});
  TryCredit(call.executor);
}

void Executors::Answer(std::uint64_t id, std::vector<DeliveryResult> results, Microseconds delay) {
  const DeliveryOutcome outcome = results.front().outcome;
  const auto deliver = [this, id, results = std::move(results), epoch = epoch_](bool again) {
    Call& call = calls_.at(id);
    if (!listener_ || epoch != epoch_ || (call.answered && !again)) return;
    if (!call.answered && call.stream == executors_[call.executor].stream && call.stream != 0) {
      --executors_[call.executor].used;
    }
    call.answered = true;
    oracle_.OnResults(results, again);
    std::vector<DeliveryResult> told = results;
    if (flaw_ == Flaw::kCreditByName) {
      for (DeliveryResult& result : told) {
        const auto heir = heirs_.find(result.key.uid);
        if (heir != heirs_.end()) result.key.uid = heir->second;
      }
    }
    listener_->on_results(std::move(told));
  };
  world_.After(delay, [deliver] { deliver(false); });
  // What never began has no second answer: its number is used again.
  if (calm_ || outcome == DeliveryOutcome::kRejected || !world_.dice.Chance(0.05)) return;
  world_.After(delay + world_.dice.Delay(0, 500'000), [deliver] { deliver(true); });
}

void Executors::Cancel(const DeliveryKey& key, int attempt) {
  for (auto& [id, call] : calls_) {
    if (call.answered || call.order.key != key || call.order.attempt != attempt) continue;
    world_.After(world_.dice.Delay(500, 300'000), [this, id = id] {
      Call& cancelled = calls_.at(id);
      if (cancelled.stage == Stage::kTravelling) cancelled.stage = Stage::kEnded;
      Kill(id);
      if (cancelled.answered) return;
      Answer(id, ResultsOf(cancelled.order, DeliveryOutcome::kPermanent, "Cancelled"), 1ms);
    });
  }
}

void Executors::CutStream() {
  const auto index =
      static_cast<std::size_t>(world_.dice.Below(static_cast<int>(executors_.size())));
  if (executors_[index].stream == 0) return;
  world_.Note("stream to executor {} is cut", index);
  LoseStream(index);
  Open(index);
}

void Executors::CrashExecutor() {
  const auto index =
      static_cast<std::size_t>(world_.dice.Below(static_cast<int>(executors_.size())));
  Executor& executor = executors_[index];
  if (!executor.up) return;
  world_.Note("executor {} crashes", index);
  executor.up = false;
  for (auto& [id, call] : calls_) {
    if (call.executor != index || call.stage == Stage::kEnded) continue;
    const bool ran = call.stage == Stage::kRunning;
    call.stage = Stage::kEnded;
    if (ran) oracle_.OnCallEnd(id, call.order, {});
  }
  LoseStream(index);
  world_.After(world_.dice.Delay(100'000, 4'000'000), [this, index] {
    executors_[index].up = true;
    if (listener_) Open(index);
  });
}

void Executors::LoseStream(std::size_t index) {
  Executor& executor = executors_[index];
  const std::uint64_t stream = std::exchange(executor.stream, 0);
  executor.credited = false;
  executor.used = 0;
  if (stream == 0) return;
  for (auto& [id, call] : calls_) {
    if (call.executor != index || call.stream != stream || call.answered) continue;
    const auto unknown = ResultsOf(call.order, DeliveryOutcome::kUnknown, "ExecutorLost");
    const Microseconds timeout = call.order.timeout.value_or(kTimeoutDefault);
    const Microseconds deadline = call.sent + timeout + kAfterDeadline - world_.clock.Monotonic();
    Microseconds confirmed{100};
    if (call.stage == Stage::kTravelling) {
      call.stage = Stage::kEnded;  // It is in nobody's hands any more.
    } else if (call.stage == Stage::kRunning) {
      confirmed = world_.dice.Delay(0, 2'000'000);
      world_.After(confirmed, [this, id = id] { Kill(id); });
    }
    const bool waits = call.order.ordered && flaw_ != Flaw::kUnknownAtOnce;
    Answer(id, unknown, waits ? std::min(confirmed + 1ms, deadline) : Microseconds(100));
  }
  Report();
}

void Executors::Calm() {
  calm_ = true;
  for (auto& [name, behaviour] : functions_) {
    const bool replies = behaviour.replies;
    behaviour = Behaviour{};
    behaviour.replies = replies;
  }
}

std::vector<DeliveryResult> Executors::Decide(const Call& call, Microseconds& takes) {
  std::vector<DeliveryResult> results;
  results.push_back(DecideOne(call, call.order.key, call.order.event, takes));
  for (const auto& [key, event] : call.order.batch) {
    results.push_back(DecideOne(call, key, event, takes));
  }
  return results;
}

DeliveryResult Executors::DecideOne(const Call& call, const DeliveryKey& key,
                                    const SharedBytes& event, Microseconds& takes) {
  const Behaviour& behaviour = functions_[call.order.function];
  Dice& dice = world_.dice;
  DeliveryResult result;
  result.key = key;
  result.attempt = call.order.attempt;
  result.execution.assign(1, 'x');
  takes = std::max(takes, dice.Delay(200, behaviour.micros_max));
  const Microseconds timeout = call.order.timeout.value_or(kTimeoutDefault);
  const auto fail = [&](DeliveryOutcome outcome, const char* category, const char* type) {
    result.outcome = outcome;
    result.error = {category, type, "as the simulation wants it"};
  };
  if (takes > timeout || (!behaviour.micros_max ? false : dice.Chance(behaviour.hangs))) {
    takes = timeout;
    result.timed_out = true;
    fail(DeliveryOutcome::kRetryable, "SystemError", "Timeout");
  } else if (dice.Chance(behaviour.system_errors)) {
    result.http_status = 503;
    fail(DeliveryOutcome::kRetryable, "SystemError", "Unavailable");
  } else if (dice.Chance(behaviour.asks_to_wait)) {
    result.http_status = 429;
    result.retry_after = dice.Delay(100'000, 1'000'000);
    fail(DeliveryOutcome::kRetryable, "SystemError", "TooManyRequests");
  } else if ((poison_ && IsPoison(event.view())) || dice.Chance(behaviour.function_errors)) {
    fail(DeliveryOutcome::kRetryable, "FunctionError", "Boom");
  } else if (dice.Chance(behaviour.permanent)) {
    fail(DeliveryOutcome::kPermanent, "FunctionError", "Refused");
  } else if (behaviour.replies) {
    result.reply = MakeReplyEvent();
  }
  return result;
}

std::vector<DeliveryResult> Executors::ResultsOf(const InvocationOrder& order,
                                                 DeliveryOutcome outcome, const std::string& type) {
  std::vector<DeliveryResult> results;
  const auto add = [&](const DeliveryKey& key) {
    DeliveryResult result;
    result.key = key;
    result.attempt = order.attempt;
    result.outcome = outcome;
    result.error = {"SystemError", type, "as the simulation wants it"};
    results.push_back(std::move(result));
  };
  add(order.key);
  for (const auto& [key, event] : order.batch) add(key);
  return results;
}

}  // namespace penstock::broker::sim
