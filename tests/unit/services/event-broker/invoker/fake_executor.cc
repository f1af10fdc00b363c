#include "tests/unit/services/event-broker/invoker/fake_executor.h"

#include <gtest/gtest.h>

#include <chrono>
#include <utility>

namespace penstock::broker {

bool WaitFor(std::unique_lock<std::mutex>& lock, std::condition_variable& changed,
             const std::function<bool()>& condition) {
  return changed.wait_for(lock, std::chrono::seconds(20), condition);
}

FakeExecutor::FakeExecutor(std::string name) : name_(std::move(name)), instance_(name_) {
  rpc::ServerOptions options;
  options.name = name_;
  options.services = {this};
  auto host = rpc::ServerHost::Start(std::move(options));
  EXPECT_TRUE(host.ok()) << host.status();
  host_ = *std::move(host);
}

FakeExecutor::~FakeExecutor() { host_->Stop(std::chrono::milliseconds(100)); }

grpc::ServerBidiReactor<pb::InvokeStreamRequest, pb::InvokeStreamResponse>*
FakeExecutor::InvokeStream(grpc::CallbackServerContext* context) {
  return Server::Serve(context, [this](const std::shared_ptr<Server>& server) -> Server::Handlers {
    auto stream = std::make_shared<Stream>();
    stream->server = server;
    {
      const std::lock_guard lock(mutex_);
      streams_.push_back(stream);
      pb::InvokeStreamResponse greeting;
      greeting.set_instance(instance_);
      stream->waiting.push_back(std::move(greeting));
    }
    Server::Handlers handlers;
    handlers.fill = [this, stream](pb::InvokeStreamResponse& message) {
      const std::lock_guard lock(mutex_);
      if (stream->waiting.empty()) return false;
      message = std::move(stream->waiting.front());
      stream->waiting.pop_front();
      return true;
    };
    handlers.on_message = [this, stream](pb::InvokeStreamRequest& message) {
      OnMessage(stream, message);
    };
    handlers.on_done = [this, stream](const absl::Status&) {
      const std::lock_guard lock(mutex_);
      stream->ended = true;
      stream->server = nullptr;
      changed_.notify_all();
    };
    return handlers;
  });
}

void FakeExecutor::OnMessage(const std::shared_ptr<Stream>& stream,
                             const pb::InvokeStreamRequest& message) {
  std::shared_ptr<Server> server;
  {
    const std::lock_guard lock(mutex_);
    pb::InvokeStreamResponse response;
    if (!std::exchange(stream->has_message, true)) {
      ++introduced_;
      brokers_.push_back(message.broker());
      response.set_credit(credit_);
    }
    invocations_.insert(invocations_.end(), message.invocations().begin(),
                        message.invocations().end());
    cancels_.insert(cancels_.end(), message.cancels().begin(), message.cancels().end());
    if (response.credit() > 0) {
      stream->waiting.push_back(std::move(response));
      server = stream->server;
    }
    changed_.notify_all();
  }
  if (server) server->Notify();
}

std::shared_ptr<FakeExecutor::Server> FakeExecutor::Push(pb::InvokeStreamResponse response) {
  if (streams_.empty()) return nullptr;
  streams_.back()->waiting.push_back(std::move(response));
  return streams_.back()->server;
}

void FakeExecutor::Say(pb::InvokeStreamResponse response) {
  std::shared_ptr<Server> server;
  {
    const std::lock_guard lock(mutex_);
    server = Push(std::move(response));
  }
  ASSERT_NE(server, nullptr) << "there is no stream";
  server->Notify();
}

void FakeExecutor::SetCredit(int credit) {
  const std::lock_guard lock(mutex_);
  credit_ = credit;
}

void FakeExecutor::SetInstance(std::string instance) {
  const std::lock_guard lock(mutex_);
  instance_ = std::move(instance);
}

bool FakeExecutor::WaitForStreams(std::size_t count) {
  std::unique_lock lock(mutex_);
  return WaitFor(lock, changed_, [&] { return introduced_ >= count; });
}

void FakeExecutor::GiveCredit(int credit) {
  pb::InvokeStreamResponse response;
  response.set_credit(credit);
  Say(std::move(response));
}

void FakeExecutor::Drain() {
  pb::InvokeStreamResponse response;
  response.set_draining(true);
  Say(std::move(response));
}

void FakeExecutor::Break() {
  std::shared_ptr<Server> server;
  {
    const std::lock_guard lock(mutex_);
    if (!streams_.empty()) server = streams_.back()->server;
  }
  ASSERT_NE(server, nullptr) << "there is no stream";
  server->Finish(absl::UnavailableError("broken by the test"));
}

std::vector<pb::Invocation> FakeExecutor::WaitForInvocations(std::size_t count) {
  std::unique_lock lock(mutex_);
  EXPECT_TRUE(WaitFor(lock, changed_, [&] { return invocations_.size() >= count; }))
      << invocations_.size();
  return invocations_;
}

std::vector<pb::InvocationCancel> FakeExecutor::WaitForCancels(std::size_t count) {
  std::unique_lock lock(mutex_);
  EXPECT_TRUE(WaitFor(lock, changed_, [&] { return cancels_.size() >= count; }));
  return cancels_;
}

pb::InvocationResult FakeExecutor::ResultOf(const pb::Invocation& invocation,
                                            pb::InvocationResult::Outcome outcome) {
  pb::InvocationResult result;
  result.set_delivery_id(invocation.delivery_id());
  result.set_attempt(invocation.attempt());
  result.set_epoch(invocation.epoch());
  result.set_outcome(outcome);
  return result;
}

void FakeExecutor::Answer(const pb::Invocation& invocation, pb::InvocationResult::Outcome outcome) {
  Answer(ResultOf(invocation, outcome));
}

void FakeExecutor::Answer(pb::InvocationResult result) {
  pb::InvokeStreamResponse response;
  *response.add_results() = std::move(result);
  Say(std::move(response));
}

std::vector<std::string> FakeExecutor::brokers() const {
  const std::lock_guard lock(mutex_);
  return brokers_;
}

}  // namespace penstock::broker
