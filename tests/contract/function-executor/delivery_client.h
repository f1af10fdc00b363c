// A broker, as an executor sees it.
#pragma once

#include <penstock/internal/v1/invocation.pb.h>

#include <condition_variable>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "libs/rpc/bidi_client.h"
#include "libs/rpc/peer_auth.h"

namespace penstock::executor {

namespace ipb = internal::v1;

// A broker's end of InvokeStream. Thread-safe.
class DeliveryClient {
 public:
  // Its first message names `broker`, and nothing else.
  DeliveryClient(const std::shared_ptr<grpc::Channel>& channel,
                 std::shared_ptr<const rpc::PeerAuth> peer_auth, std::string broker = "");
  ~DeliveryClient();

  // Queues attempts; messages take 256 of them.
  void Send(std::vector<ipb::Invocation> invocations);
  void Cancel(const ipb::Invocation& invocation);
  void HalfClose() { call_->WritesDone(); }
  void Break() { call_->Cancel(); }

  // Waits for the results of so many attempts in all.
  std::vector<ipb::InvocationResult> WaitForResults(std::size_t count);
  // The result of one delivery.
  ipb::InvocationResult WaitForResult(const std::string& delivery_id);
  absl::Status WaitForEnd();
  bool WaitForDraining();
  std::string WaitForInstance();
  int WaitForCredit();
  int credit() const;
  std::size_t results_in_largest_message() const;

 private:
  using Call = rpc::BidiClient<ipb::InvokeStreamRequest, ipb::InvokeStreamResponse>;

  bool Fill(ipb::InvokeStreamRequest& message);
  bool WaitFor(const std::function<bool()>& condition);

  mutable std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<ipb::Invocation> invocations_;
  std::deque<ipb::InvocationCancel> cancels_;
  std::vector<ipb::InvocationResult> results_;
  std::size_t largest_message_ = 0;
  std::string instance_;
  int credit_ = 0;
  bool draining_ = false;
  const std::string broker_;
  bool introduced_ = false;
  std::optional<absl::Status> end_;
  std::shared_ptr<Call> call_;
};

}  // namespace penstock::executor
