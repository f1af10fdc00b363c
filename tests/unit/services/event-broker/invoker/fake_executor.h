// An executor whose every move a test makes.
#pragma once

#include <penstock/internal/v1/invocation_service.grpc.pb.h>

#include <condition_variable>
#include <cstddef>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "libs/rpc/bidi_server.h"
#include "libs/rpc/server_host.h"

namespace penstock::broker {

namespace pb = internal::v1;

// Waits at most 20 s; false when it does not come true.
bool WaitFor(std::unique_lock<std::mutex>& lock, std::condition_variable& changed,
             const std::function<bool()>& condition);

// Takes streams and does nothing by itself, unless told to. Thread-safe.
class FakeExecutor final : public pb::InvocationService::CallbackService {
 public:
  // Reachable as "inproc:<name>", and calls itself so.
  explicit FakeExecutor(std::string name);
  ~FakeExecutor() override;

  std::string address() const { return "inproc:" + name_; }

  // From now on each new stream gets so much credit at its first message; 0: none.
  void SetCredit(int credit);
  // What streams of later say that this executor is.
  void SetInstance(std::string instance);

  // Waits until so many streams have come with their first message since the start.
  bool WaitForStreams(std::size_t count);
  // On the newest stream.
  void GiveCredit(int credit);
  void Drain();
  // Ends the newest stream.
  void Break();

  // Waits for so many invocations since the start, and gives all.
  std::vector<pb::Invocation> WaitForInvocations(std::size_t count);
  std::vector<pb::InvocationCancel> WaitForCancels(std::size_t count);
  // Answers on the newest stream.
  void Answer(const pb::Invocation& invocation, pb::InvocationResult::Outcome outcome);
  void Answer(pb::InvocationResult result);
  static pb::InvocationResult ResultOf(const pb::Invocation& invocation,
                                       pb::InvocationResult::Outcome outcome);
  // What the first messages of the streams named, in order.
  std::vector<std::string> brokers() const;

  grpc::ServerBidiReactor<pb::InvokeStreamRequest, pb::InvokeStreamResponse>* InvokeStream(
      grpc::CallbackServerContext* context) override;

 private:
  using Server = rpc::BidiServer<pb::InvokeStreamRequest, pb::InvokeStreamResponse>;
  struct Stream {
    std::shared_ptr<Server> server;
    std::deque<pb::InvokeStreamResponse> waiting;
    bool has_message = false;
    bool ended = false;
  };

  void OnMessage(const std::shared_ptr<Stream>& stream, const pb::InvokeStreamRequest& message);
  // Needs the lock; then call Notify on the result without it.
  std::shared_ptr<Server> Push(pb::InvokeStreamResponse response);
  void Say(pb::InvokeStreamResponse response);

  const std::string name_;
  mutable std::mutex mutex_;
  std::condition_variable changed_;
  std::string instance_;
  int credit_ = 0;
  std::vector<std::shared_ptr<Stream>> streams_;
  std::size_t introduced_ = 0;
  std::vector<std::string> brokers_;
  std::vector<pb::Invocation> invocations_;
  std::vector<pb::InvocationCancel> cancels_;
  std::unique_ptr<rpc::ServerHost> host_;
};

}  // namespace penstock::broker
