// Makes one connection of a client. Internal to libs/h2: it shows Asio.
#pragma once

#include <boost/asio/steady_timer.hpp>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "absl/functional/any_invocable.h"
#include "absl/status/statusor.h"
#include "libs/h2/connection.h"
#include "libs/http/dns.h"

namespace penstock::h2 {

struct ClientContext;

// Resolves, connects, shakes hands. Used on its loop only; made by make_shared.
class Connector final : public std::enable_shared_from_this<Connector> {
 public:
  struct Made {
    std::shared_ptr<Connection> connection;
    // The numeric address that it goes to, and how many the name has; empty and 1 for a socket that
    // was given.
    std::string server;
    std::size_t servers = 1;
  };
  using Done = absl::AnyInvocable<void(absl::StatusOr<Made>)>;

  Connector(std::shared_ptr<const ClientContext> context, int loop, ConnectionOwner& owner);

  // Calls `done` once, never inside this call, unless it was cancelled before. The connection has
  // been started. Numeric addresses in `used` come after others, those that are there least often
  // first; with `only_others` not at all.
  void Start(const std::string& address, std::vector<std::string> used, bool only_others,
             Done done);
  void Cancel();

 private:
  using ErrorCode = boost::system::error_code;

  void OnResolved(absl::StatusOr<http::Dns::Addresses> addresses);
  void ConnectNext();
  void LimitAttempt();
  // The address at hand is no good.
  void TryNext(std::string why);
  bool IsCurrent(std::size_t attempt) const { return done_ && next_ == attempt; }
  void OnConnected(ErrorCode error);
  void Handshake();
  void OnHandshake(ErrorCode error);
  // Takes what options.connect gave.
  void Adopt();
  void SetSocket(int fd, ErrorCode& error);
  void Succeed();
  void Fail(const std::string& why);

  const std::shared_ptr<const ClientContext> context_;
  const int loop_;
  ConnectionOwner& owner_;
  boost::asio::steady_timer timer_;
  boost::asio::steady_timer attempt_timer_;
  Done done_;
  std::string address_;
  std::string host_;
  std::uint16_t port_ = 0;
  std::vector<std::string> used_;
  bool only_others_ = false;
  http::Dns::Addresses addresses_;
  std::size_t servers_ = 1;
  std::size_t next_ = 0;
  std::string why_ = "the name has no address";
  absl::Status denied_;  // What egress said, if that is why.
  std::shared_ptr<Connection> connection_;
};

}  // namespace penstock::h2
