// One connection of the client. Internal to libs/http: it shows Asio.
#pragma once

#include <boost/asio/steady_timer.hpp>
#include <chrono>
#include <cstddef>
#include <memory>
#include <string>

#include "libs/http/client_pool.h"
#include "libs/http/dns.h"
#include "libs/http/gather_asio.h"
#include "libs/http/response_reader.h"
#include "libs/http/transport_asio.h"

namespace penstock::http {

// Resolves, connects, then carries one request after the other. Used on its pool's loop; held by
// the pool until closed.
class ClientConnection : public std::enable_shared_from_this<ClientConnection> {
 public:
  ClientConnection(std::shared_ptr<ClientPool> pool, const Url& url, std::string key);

  const std::string& key() const { return key_; }

  // Connects for `call`, then sends it.
  void Connect(std::shared_ptr<ClientCall> call);
  // Sends `call` on this idle connection.
  void Send(std::shared_ptr<ClientCall> call);
  // False when the server is known to have closed this idle connection.
  bool IsAlive();
  // True from the moment that a byte of the present call may have left.
  bool HasSent() const { return state_ == State::kBusy; }
  // Closes; ends the present call, if any, with `status`.
  void Abandon(const absl::Status& status);

  // For the stream of the present call: see ClientStream.
  Progress WritePieces(const Pieces& pieces);
  Progress ReadPieces(Pieces& pieces);
  void FinishStream();
  const std::string& remote_address() const { return remote_address_; }

 private:
  using SteadyClock = std::chrono::steady_clock;
  using ErrorCode = boost::system::error_code;
  enum class State { kResolving, kConnecting, kHandshaking, kBusy, kIdle, kClosed };

  void OnResolved(absl::StatusOr<Dns::Addresses> addresses);
  void ConnectNext();
  void OnConnected(ErrorCode error);
  void Handshake();
  void OnHandshake(ErrorCode error);
  void OnConnectionReady();
  void FailConnect(const absl::Status& status);

  void BuildHead();
  void BuildStreamHead(const ClientStreamRequest& request);
  void Write();
  void WriteRest();
  void OnWritten(ErrorCode error, std::size_t size);
  void Read();
  void OnRead(ErrorCode error, std::size_t size);
  void OnEvent(ResponseReader::Event event);
  void OnResponse();
  void BecomeIdle();
  Progress WriteGathered();
  void OnGatheredWritten(ErrorCode error, std::size_t size);
  void OnStreamHead();
  void OnStreamRead(ErrorCode error);
  void UpdateStreamDeadline();
  void OnStreamTimeout();
  void OnLost(const std::string& why);

  void SetTimer(SteadyClock::time_point expiry);
  // As SetTimer, but leaves a timer alone that fires before.
  void SetDeadline(SteadyClock::time_point deadline);
  void OnTimer();
  void Close();

  const std::shared_ptr<ClientPool> pool_;
  const int epoch_ = pool_->epoch();
  const Url url_;
  const std::string key_;
  Transport transport_;
  State state_ = State::kResolving;
  std::shared_ptr<ClientCall> call_;
  boost::asio::steady_timer timer_;
  SteadyClock::time_point deadline_;
  bool is_timer_set_ = false;

  // Connecting: the addresses still to try, and what the tries so far came to.
  Dns::Addresses addresses_;
  std::size_t next_address_ = 0;
  SteadyClock::time_point connect_deadline_;
  absl::Status connect_error_;
  std::string remote_address_;

  // The present request.
  std::string head_;
  std::size_t written_ = 0;
  bool is_write_done_ = false;
  bool has_response_bytes_ = false;
  bool is_reused_ = false;
  ResponseReader reader_;
  bool is_reading_ = false;

  // Of a request in pieces.
  Gather gather_;
  bool has_response_head_ = false;
  // Whether the stream waits for more of the answer, or for its pieces to be written.
  bool wants_pieces_ = false;
  bool is_writing_pieces_ = false;
  bool has_last_piece_ = false;
  bool has_tunnel_ended_ = false;  // By the server: it says nothing more.
  std::size_t stream_read_size_ = 0;
};

}  // namespace penstock::http
