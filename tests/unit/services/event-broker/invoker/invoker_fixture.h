// A StreamInvoker with executors that the test plays.
#pragma once

#include <gtest/gtest.h>

#include <chrono>
#include <condition_variable>
#include <cstddef>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "services/event-broker/invoker/stream_invoker.h"
#include "tests/unit/services/event-broker/invoker/fake_executor.h"

namespace penstock::broker {

class InvokerTest : public ::testing::Test {
 protected:
  using Outcome = pb::InvocationResult;

  InvokerTest() {
    options_.address = "executors-of-test";
    options_.broker = "broker-1";
    options_.resolve_interval = std::chrono::milliseconds(5);
    options_.resolver = [this](const std::string&) -> absl::StatusOr<std::vector<std::string>> {
      const std::lock_guard lock(mutex_);
      if (addresses_.empty()) return absl::NotFoundError("no executor");
      return addresses_;
    };
  }
  ~InvokerTest() override {
    if (invoker_) invoker_->Stop();
  }

  void SetAddresses(std::vector<std::string> addresses) {
    const std::lock_guard lock(mutex_);
    addresses_ = std::move(addresses);
  }

  void Start() {
    invoker_ = std::make_unique<StreamInvoker>(options_);
    invoker_->Start({
        .on_results =
            [this](std::vector<DeliveryResult> results) {
              const std::lock_guard lock(mutex_);
              for (DeliveryResult& result : results) results_.push_back(std::move(result));
              changed_.notify_all();
            },
        .on_capacity =
            [this](std::size_t slots) {
              const std::lock_guard lock(mutex_);
              capacity_ = slots;
              changed_.notify_all();
            },
        .on_settled =
            [this] {
              const std::lock_guard lock(mutex_);
              ++settled_;
              changed_.notify_all();
            },
    });
  }
  // Against one executor, with so much credit.
  void StartWith(FakeExecutor& executor, int credit) {
    executor.SetCredit(credit);
    SetAddresses({executor.address()});
    Start();
    ASSERT_TRUE(WaitForCapacity(static_cast<std::size_t>(credit)));
  }

  static InvocationOrder Order(Sequence sequence, bool ordered = false) {
    InvocationOrder order;
    order.key = {"lane", sequence};
    order.epoch = 3;
    order.function = "spaces/default/functions/f";
    order.subscription = "spaces/default/subscriptions/s";
    order.timeout = std::chrono::seconds(600);
    order.event = SharedBytes("event " + std::to_string(sequence));
    order.ordered = ordered;
    return order;
  }
  static InvocationOrder BatchOrder(Sequence first, std::size_t size) {
    InvocationOrder order = Order(first);
    for (std::size_t i = 1; i < size; ++i) {
      order.batch.push_back({{"lane", first + i}, SharedBytes("further")});
    }
    return order;
  }
  void Send(InvocationOrder order) {
    std::vector<InvocationOrder> orders;
    orders.push_back(std::move(order));
    invoker_->Send(std::move(orders));
  }

  std::vector<DeliveryResult> WaitForResults(std::size_t count) {
    std::unique_lock lock(mutex_);
    EXPECT_TRUE(WaitFor(lock, changed_, [&] { return results_.size() >= count; }))
        << results_.size();
    return results_;
  }
  std::size_t results() const {
    const std::lock_guard lock(mutex_);
    return results_.size();
  }
  bool WaitForCapacity(std::size_t slots) {
    std::unique_lock lock(mutex_);
    return WaitFor(lock, changed_, [&] { return capacity_ == slots; });
  }
  bool WaitForSettled() {
    std::unique_lock lock(mutex_);
    return WaitFor(lock, changed_, [&] { return settled_ > 0; });
  }
  int settled() const {
    const std::lock_guard lock(mutex_);
    return settled_;
  }
  bool WaitForDoubt(std::size_t calls) {
    const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(20);
    while (invoker_->in_doubt() != calls) {
      if (std::chrono::steady_clock::now() > end) return false;
      std::this_thread::yield();
    }
    return true;
  }
  // Sends an order that gets its result over the stream: what that stream said before is handled.
  void PassThrough(FakeExecutor& executor, Sequence sequence) {
    const std::size_t before = results();
    const std::size_t sent = executor.WaitForInvocations(0).size();
    Send(Order(sequence));
    executor.Answer(executor.WaitForInvocations(sent + 1).back(), Outcome::SUCCEEDED);
    WaitForResults(before + 1);
  }

  StreamInvoker::Options options_;
  mutable std::mutex mutex_;
  std::condition_variable changed_;
  std::vector<std::string> addresses_;
  std::vector<DeliveryResult> results_;
  std::size_t capacity_ = 0;
  int settled_ = 0;
  std::unique_ptr<StreamInvoker> invoker_;
};

}  // namespace penstock::broker
