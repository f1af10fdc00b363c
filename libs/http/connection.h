// One connection of the server. Internal to libs/http: it shows Asio.
#pragma once

#include <array>
#include <atomic>
#include <boost/asio/ssl/context.hpp>
#include <boost/asio/steady_timer.hpp>
#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <deque>
#include <memory>
#include <mutex>
#include <string>
#include <unordered_map>
#include <vector>

#include "libs/http/gather_asio.h"
#include "libs/http/per_loop.h"
#include "libs/http/request_reader.h"
#include "libs/http/response_writer.h"
#include "libs/http/server.h"
#include "libs/http/transport_asio.h"

namespace penstock::http {

class Connection;

// What a chunk that waits to be sent counts beyond its bytes, so that tiny chunks are bounded too.
inline constexpr std::size_t kStreamChunkCost = 64;

// What a connection goes by, from its beginning to its end.
struct ServerSettings {
  ServerOptions options;
  // Null: plain HTTP.
  std::shared_ptr<boost::asio::ssl::context> tls;
};

// What the connections of one server share. Each loop touches its own LoopState only.
struct ServerContext {
  struct alignas(64) LoopState {
    std::unordered_map<Connection*, std::shared_ptr<Connection>> connections;
    // Written on the loop, read anywhere.
    std::atomic<std::uint64_t> requests{0};
    std::atomic<std::uint64_t> refusals{0};
    std::array<std::atomic<std::uint64_t>, 6> responses{};
    std::atomic<std::uint64_t> bytes_received{0};
    std::atomic<std::uint64_t> bytes_sent{0};
  };

  ServerContext(EventLoops& event_loops, std::shared_ptr<const ServerSettings> first)
      : loops(event_loops), settings(event_loops, first), loop_states(event_loops.size()) {}

  EventLoops& loops;
  PerLoop<ServerSettings> settings;
  // Cleared by Stop, when no loop calls it any more.
  Handler handler;
  std::vector<LoopState> loop_states;
  std::atomic<bool> draining{false};
  std::atomic<std::size_t> connections_open{0};
  std::atomic<std::uint64_t> connections_total{0};
  // Woken when the last connection is gone.
  std::mutex mutex;
  std::condition_variable all_closed;
};

// Reads requests, hands them to the handler one at a time, writes the answers. Everything runs on
// the connection's loop. Lives in its loop's `connections` until Close, and as long as an exchange
// or a pending operation refers to it.
class Connection : public std::enable_shared_from_this<Connection> {
 public:
  Connection(std::shared_ptr<ServerContext> context, int loop, Transport::Socket socket,
             Request peer);

  int loop() const { return loop_; }
  EventLoops& event_loops() { return context_->loops; }
  const ServerLimits& limits() const { return settings_->options.limits; }

  // Begins; with `refuse` it answers 503 and closes.
  void Start(bool refuse);
  // Ends the connection at once.
  void Close();
  // Closes the connection if no request is under way; otherwise its answer will.
  void BeginDrain();

  // What a ServerExchange asks for; ignored unless `id` is the request now being answered.
  void Answer(std::uint64_t id, Response response);
  void AnswerDropped(std::uint64_t id);
  void StartStream(std::uint64_t id, int status, const Headers& headers);
  void WriteChunk(std::uint64_t id, const std::string& chunk, Exchange::OnWritten on_written,
                  std::shared_ptr<std::atomic<std::size_t>> waiting_bytes);
  void EndStream(std::uint64_t id);
  void AbortStream(std::uint64_t id);
  void SetOnClosed(std::uint64_t id, absl::AnyInvocable<void()> callback);
  void SetStreamCallbacks(std::uint64_t id, absl::AnyInvocable<void()> on_readable,
                          absl::AnyInvocable<void()> on_writable);
  Progress ReadPieces(std::uint64_t id, Pieces& pieces);
  void ReleasePieces(std::uint64_t id);
  void StartPieces(std::uint64_t id, const StreamHead& head);
  void StartTunnel(std::uint64_t id, const Headers& headers);
  Progress WritePieces(std::uint64_t id, const Pieces& pieces);
  void Abort(std::uint64_t id);
  // Asks the kernel, which may know more than the loop has read.
  bool IsPeerGone();

 private:
  using SteadyClock = std::chrono::steady_clock;
  using ErrorCode = boost::system::error_code;
  enum class State {
    kHandshaking,
    kReading,
    kHandling,   // The handler has the request.
    kStreaming,  // The answer's head was written, chunks follow.
    kClosing,    // The last answer is being written.
    kLingering,  // Reading to the end, so that the answer is not lost to a reset.
    kClosed,
  };
  // A chunk whose bytes end at `end`, counted over the whole connection. `cost` is its share of
  // `waiting_bytes`.
  struct PendingChunk {
    std::uint64_t end;
    std::size_t cost;
    Exchange::OnWritten on_written;
    std::shared_ptr<std::atomic<std::size_t>> waiting_bytes;
  };
  struct StreamCallbacks {
    absl::AnyInvocable<void()> on_readable;
    absl::AnyInvocable<void()> on_writable;
  };

  ServerContext::LoopState& loop_state() { return context_->loop_states[loop_]; }
  bool IsCurrent(std::uint64_t id, State state) const {
    return id == exchange_id_ && state_ == state;
  }

  void Handshake();
  void Process();
  bool IsIdle();
  bool ProcessBuffered();
  void Dispatch(StreamHandler stream_handler);
  void Refuse(const Refusal& refusal);
  Response ErrorAnswer(int http_status, const std::string& message);

  void EnsureRead();
  void OnRead(ErrorCode error, std::size_t size);
  void OnPeerClosed();
  // Whether `id` is being answered, at whatever point.
  bool IsUnderWay(std::uint64_t id) const {
    return id == exchange_id_ && (state_ == State::kHandling || state_ == State::kStreaming);
  }
  // Whether input is read only when the handler asks for it.
  bool ReadsPieces() const {
    return is_stream_ && (is_tunnel_ || reader_.is_in_body()) && IsUnderWay(exchange_id_);
  }
  void OnReadable();
  void RefuseBody(const Refusal& refusal);
  void LeaveBodyUnread();
  void OnPiecesWritten();
  void ShutDownSending();

  void AppendAnswer(Response response, bool closes);
  void FinishExchange();
  void Resume();
  void Flush();
  void FlushAsync();
  void OnWrite(ErrorCode error, std::size_t size);
  void FillGather(std::string_view head, std::string_view tail);
  // Bytes that the kernel has not taken yet.
  std::uint64_t QueuedBytes() const;
  void CountSent(std::size_t size);
  void NotifyWritten(PendingChunk chunk, const absl::Status& status);

  void BeginLinger();
  void ReadRaw();
  void NotifyClosed();

  void UpdateDeadline();
  void SetDeadline(SteadyClock::time_point deadline);
  void WaitForDeadline();
  void OnDeadline();

  const std::shared_ptr<ServerContext> context_;
  const std::shared_ptr<const ServerSettings> settings_;
  const int loop_;
  Transport transport_;
  RequestReader reader_;
  State state_ = State::kReading;
  bool is_reading_ = false;
  bool is_processing_ = false;
  // The client closed its side; what is being answered is still answered.
  bool peer_closed_ = false;

  // The request being answered.
  std::uint64_t exchange_id_ = 0;
  bool closes_after_answer_ = false;
  bool stream_is_chunked_ = false;
  bool stream_has_body_ = false;
  // The request whose client went away before its answer was complete; ids start at 1.
  std::uint64_t lost_exchange_id_ = 0;
  absl::AnyInvocable<void()> on_closed_;

  // Output not yet given to the kernel: `out_`, then `out_tail_` (one big body). While a write is
  // pending it owns the bytes in `sending_` and `sending_tail_`; `gather_` has what of them,
  // and of pieces, was not sent.
  std::string out_;
  std::string out_tail_;
  bool is_writing_ = false;
  std::string sending_;
  std::string sending_tail_;
  Gather gather_;
  std::uint64_t sent_total_ = 0;
  std::deque<PendingChunk> pending_chunks_;

  // Of a request that is handed over, and answered, in pieces.
  bool is_stream_ = false;
  bool is_tunnel_ = false;
  bool ends_with_connection_ = false;
  // The handler waits for input; it uses what it got, which must stay where it is.
  bool wants_pieces_ = false;
  bool holds_pieces_ = false;
  // Pieces behind `out_tail_`, and what closes their chunk.
  Pieces pieces_;
  std::string_view pieces_end_;
  bool is_writing_pieces_ = false;
  bool has_last_piece_ = false;
  std::shared_ptr<StreamCallbacks> stream_callbacks_;

  // Refused input may still be on its way.
  bool must_linger_ = false;
  std::size_t drained_bytes_ = 0;
  std::vector<char> drain_buffer_;

  // The timer is left alone while it fires before the deadline: moving it for each request would
  // cost more.
  boost::asio::steady_timer timer_;
  SteadyClock::time_point deadline_ = SteadyClock::time_point::max();
  SteadyClock::time_point timer_expiry_ = SteadyClock::time_point::max();
  RequestReader::Phase deadline_phase_ = RequestReader::Phase::kIdle;
  std::uint64_t deadline_request_ = 0;
  bool was_writing_ = false;
};

}  // namespace penstock::http
