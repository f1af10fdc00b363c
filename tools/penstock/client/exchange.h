// A running call on which the server streams its answers, and the client too where the method takes
// it.
#pragma once

#include <google/protobuf/message.h>

#include <chrono>
#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace penstock::cli {

// Made by Client::Open; the client must outlive it. One thread uses it. Its end cancels the call.
class Exchange {
 public:
  struct Call;  // The part that knows gRPC.

  // `explain` turns the status of the end into what the program reports.
  Exchange(std::shared_ptr<Call> call, std::function<absl::Status(const absl::Status&)> explain);
  ~Exchange();
  Exchange(const Exchange&) = delete;
  Exchange& operator=(const Exchange&) = delete;

  // Queues a message to the server. Never waits.
  void Send(const google::protobuf::Message& message);
  // Nothing more will be sent.
  void EndSending();

  // The next answer. Nothing when none came within `wait` (without it: waits for ever), and when
  // the server ended the call with OK: see ended(). Every other end is its status.
  // RESOURCE_EXHAUSTED when answers arrived faster than they were taken.
  template <typename Response>
  absl::StatusOr<std::optional<Response>> Receive(
      std::optional<std::chrono::milliseconds> wait = std::nullopt) {
    const auto bytes = ReceiveRaw(wait);
    if (!bytes.ok()) return bytes.status();
    if (!bytes->has_value()) return std::optional<Response>();
    std::optional<Response> response(std::in_place);
    if (!response->ParseFromString(**bytes)) {
      return absl::InternalError("the server's answer could not be read");
    }
    return response;
  }

  // Whether the server has ended the call, and everything before that was received.
  bool ended() const { return ended_; }

 private:
  absl::StatusOr<std::optional<std::string>> ReceiveRaw(
      std::optional<std::chrono::milliseconds> wait);

  const std::shared_ptr<Call> call_;
  const std::function<absl::Status(const absl::Status&)> explain_;
  bool ended_ = false;
};

}  // namespace penstock::cli
