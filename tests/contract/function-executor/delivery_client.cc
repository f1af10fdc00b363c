#include "tests/contract/function-executor/delivery_client.h"

#include <algorithm>
#include <chrono>
#include <utility>

#include "gtest/gtest.h"

namespace penstock::executor {

DeliveryClient::DeliveryClient(const std::shared_ptr<grpc::Channel>& channel,
                               std::shared_ptr<const rpc::PeerAuth> peer_auth, std::string broker)
    : broker_(std::move(broker)) {
  rpc::CallOptions options;
  options.peer_auth = std::move(peer_auth);
  Call::Handlers handlers;
  handlers.fill = [this](ipb::InvokeStreamRequest& message) { return Fill(message); };
  handlers.on_message = [this](ipb::InvokeStreamResponse& message) {
    const std::lock_guard lock(mutex_);
    if (!message.instance().empty()) instance_ = message.instance();
    if (message.credit() > 0) credit_ = message.credit();
    if (message.draining()) draining_ = true;
    largest_message_ = std::max<std::size_t>(largest_message_, message.results_size());
    for (ipb::InvocationResult& result : *message.mutable_results()) {
      results_.push_back(std::move(result));
    }
    changed_.notify_all();
  };
  handlers.on_done = [this](const absl::Status& status, const rpc::ResponseMetadata&) {
    const std::lock_guard lock(mutex_);
    end_ = status;
    changed_.notify_all();
  };
  call_ = Call::Start(channel, "/penstock.internal.v1.InvocationService/InvokeStream", options,
                      std::move(handlers));
}

DeliveryClient::~DeliveryClient() {
  call_->Cancel();
  WaitForEnd().IgnoreError();
}

bool DeliveryClient::Fill(ipb::InvokeStreamRequest& message) {
  const std::lock_guard lock(mutex_);
  if (!std::exchange(introduced_, true)) {
    message.set_broker(broker_);
    return true;
  }
  if (invocations_.empty() && cancels_.empty()) return false;
  while (!invocations_.empty() && message.invocations_size() < 256) {
    *message.add_invocations() = std::move(invocations_.front());
    invocations_.pop_front();
  }
  while (invocations_.empty() && !cancels_.empty()) {
    *message.add_cancels() = std::move(cancels_.front());
    cancels_.pop_front();
  }
  return true;
}

void DeliveryClient::Send(std::vector<ipb::Invocation> invocations) {
  {
    const std::lock_guard lock(mutex_);
    for (ipb::Invocation& invocation : invocations) invocations_.push_back(std::move(invocation));
  }
  call_->Notify();
}

void DeliveryClient::Cancel(const ipb::Invocation& invocation) {
  {
    const std::lock_guard lock(mutex_);
    ipb::InvocationCancel& cancel = cancels_.emplace_back();
    cancel.set_delivery_id(invocation.delivery_id());
    cancel.set_attempt(invocation.attempt());
    cancel.set_epoch(invocation.epoch());
  }
  call_->Notify();
}

bool DeliveryClient::WaitFor(const std::function<bool()>& condition) {
  std::unique_lock lock(mutex_);
  return changed_.wait_for(lock, std::chrono::seconds(30), condition);
}

std::vector<ipb::InvocationResult> DeliveryClient::WaitForResults(std::size_t count) {
  EXPECT_TRUE(WaitFor([&] { return results_.size() >= count; })) << results_.size();
  const std::lock_guard lock(mutex_);
  return results_;
}

ipb::InvocationResult DeliveryClient::WaitForResult(const std::string& delivery_id) {
  ipb::InvocationResult found;
  EXPECT_TRUE(WaitFor([&] {
    for (const ipb::InvocationResult& result : results_) {
      if (result.delivery_id() != delivery_id) continue;
      found = result;
      return true;
    }
    return false;
  })) << delivery_id;
  return found;
}

absl::Status DeliveryClient::WaitForEnd() {
  EXPECT_TRUE(WaitFor([&] { return end_.has_value(); }));
  const std::lock_guard lock(mutex_);
  return end_.value_or(absl::UnknownError("the stream did not end"));
}

bool DeliveryClient::WaitForDraining() {
  return WaitFor([&] { return draining_; });
}

std::string DeliveryClient::WaitForInstance() {
  EXPECT_TRUE(WaitFor([&] { return !instance_.empty(); }));
  const std::lock_guard lock(mutex_);
  return instance_;
}

int DeliveryClient::WaitForCredit() {
  EXPECT_TRUE(WaitFor([&] { return credit_ > 0; }));
  return credit();
}

int DeliveryClient::credit() const {
  const std::lock_guard lock(mutex_);
  return credit_;
}

std::size_t DeliveryClient::results_in_largest_message() const {
  const std::lock_guard lock(mutex_);
  return largest_message_;
}

}  // namespace penstock::executor
