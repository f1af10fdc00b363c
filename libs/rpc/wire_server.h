// A server's call over HTTP/2 on an event loop, without gRPC's library.
#pragma once

#include <atomic>
#include <chrono>
#include <cstddef>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "libs/h2/grpc_wire.h"
#include "libs/h2/stream.h"
#include "libs/http/cancelable.h"
#include "libs/http/event_loops.h"
#include "libs/rpc/direct_methods.h"
#include "libs/rpc/metadata.h"

namespace penstock::rpc {

// What a call tells its server; as ServerEnd, but for the form of a message. None is called inside
// another of these.
class WireServerEvents {
 public:
  enum class Taken { kMore, kEnough, kUnreadable };
  // kEnough: no further message is wanted.
  virtual Taken OnBytes(std::string_view message) = 0;
  virtual void OnReadsEnded() = 0;
  virtual void OnWritten(bool ok) = 0;
  virtual void OnNotified() = 0;
  virtual void OnCancelled() = 0;
  virtual void OnEnd() = 0;

 protected:
  ~WireServerEvents() = default;
};

// A call. It is told everything on its loop; what its server asks for there is done at once, else
// by a task of the loop. Thread-safe, but for Connect. `loops` must outlive it.
class WireServerCall final : public DirectCall,
                             private h2::StreamHandler,
                             public std::enable_shared_from_this<WireServerCall> {
 public:
  WireServerCall(http::EventLoops& loops, h2::Stream& stream,
                 std::shared_ptr<DirectMethods::Calls> calls, std::size_t message_bytes_max);

  // Takes the stream over, on which the client may have said everything; the call ends with
  // DEADLINE_EXCEEDED after `timeout`. On the loop.
  void Open(std::optional<std::chrono::microseconds> timeout, bool has_ended);
  // Before Start. Kept until OnEnd.
  void Connect(std::shared_ptr<WireServerEvents> events) { events_ = std::move(events); }

  // As ServerCarrier's. `message` has its prefix.
  void Start();
  void Write(h2::Chunk message);
  bool PassNotify();
  void Finish(const absl::Status& status, MetadataList trailing);
  // Of a unary call: the answer, where the status is OK, and the end. OnWritten is not told.
  void FinishWith(std::optional<h2::Chunk> message, const absl::Status& status,
                  MetadataList trailing);

  // Ends it for both sides with UNAVAILABLE.
  void Abort() override;

 private:
  template <typename Step>
  void Run(Step step);
  template <typename Step>
  void RunStep(Step step);

  void OnHead(h2::Fields, bool) override {}
  void OnData(h2::Chunk data) override;
  void OnEnd(h2::Fields) override;
  void OnSent(std::size_t) override;
  void OnClosed(h2::ErrorCode code) override;

  void Deliver();
  void CheckWritten();
  void Answer(const absl::Status& status, const MetadataList& trailing);
  // The status, and the server's last function.
  void End(const absl::Status& status, const MetadataList& trailing);
  void GiveUp(const absl::Status& status);

  http::EventLoops& loops_;
  const int loop_;
  const std::shared_ptr<DirectMethods::Calls> calls_;
  const std::size_t message_bytes_max_;
  std::atomic<bool> is_notify_posted_{false};

  // Of the loop.
  h2::Stream* stream_;                    // Null once it is closed.
  std::shared_ptr<WireServerCall> self_;  // While the stream or the server may call.
  std::shared_ptr<WireServerEvents> events_;
  h2::GrpcReader reader_;
  std::shared_ptr<http::Cancelable> deadline_;
  bool is_reading_ = false;
  bool has_enough_ = false;  // What still comes is dropped.
  bool is_writing_ = false;
  bool has_sent_head_ = false;
  bool has_answered_ = false;  // With the status.
  bool has_peer_ended_ = false;
  bool has_told_reads_ = false;
  bool is_given_up_ = false;  // The server was told that the client is gone.
};

// What a method needs to take a call.
struct WireOpening {
  std::shared_ptr<WireServerCall> call;
  MetadataList metadata;
  std::string peer;
  std::chrono::system_clock::time_point deadline = std::chrono::system_clock::time_point::max();
};

}  // namespace penstock::rpc
