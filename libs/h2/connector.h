// Makes one connection of a client. Internal to libs/h2: it shows Asio.
#pragma once

#include <boost/asio/steady_timer.hpp>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>

#include "absl/functional/any_invocable.h"
#include "absl/status/statusor.h"
#include "libs/h2/connection.h"
#include "libs/http/dns.h"

namespace penstock::h2 {

struct ClientContext;

// Resolves, connects, shakes hands. Used on its loop only; made by make_shared.
class Connector final : public std::enable_shared_from_this<Connector> {
 public:
  using Done = absl::AnyInvocable<void(absl::StatusOr<std::shared_ptr<Connection>>)>;

  Connector(std::shared_ptr<const ClientContext> context, int loop, ConnectionOwner& owner);

  // Calls `done` once, never inside this call, unless it was cancelled before. The connection has
  // been started.
  void Start(const std::string& address, Done done);
  void Cancel();

 private:
  using ErrorCode = boost::system::error_code;

  void OnResolved(absl::StatusOr<http::Dns::Addresses> addresses);
  void ConnectNext();
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
  Done done_;
  std::string address_;
  std::string host_;
  std::uint16_t port_ = 0;
  http::Dns::Addresses addresses_;
  std::size_t next_ = 0;
  std::string why_ = "the name has no address";
  std::shared_ptr<Connection> connection_;
};

}  // namespace penstock::h2
