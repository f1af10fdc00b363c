// The part of a client that lives on one loop. Internal to libs/h2: it shows Asio.
#pragma once

#include <boost/asio/ssl/context.hpp>
#include <chrono>
#include <cstdint>
#include <list>
#include <memory>
#include <string>
#include <vector>

#include "libs/h2/client.h"
#include "libs/h2/connection.h"
#include "libs/h2/connector.h"

namespace penstock::h2 {

// What all loops of a client share; constant.
struct ClientContext {
  http::EventLoops& loops;
  http::Dns& dns;
  ClientOptions options;
  std::unique_ptr<boost::asio::ssl::context> tls;
};

// Lives as long as the client, or something that was posted. Used on its loop.
class ClientPool final : public std::enable_shared_from_this<ClientPool>,
                         public ConnectionOwner,
                         public WaitingRoom {
 public:
  ClientPool(std::shared_ptr<const ClientContext> context, int loop);

  Stream& Open(Fields head, bool end, StreamHandler* handler);
  const absl::Status& last_error() const { return last_error_; }
  void Stop();

 private:
  using Clock = std::chrono::steady_clock;

  struct Link {
    std::shared_ptr<Connection> connection;
    std::string server;  // Numeric.
  };
  // An address and the connections to it.
  struct Target {
    std::string address;
    std::vector<Link> links;
    std::shared_ptr<Connector> connector;
    Clock::time_point retry_at{};
    std::chrono::milliseconds backoff{0};
    // How many numeric addresses the name had, and when those without a connection are tried again.
    std::size_t servers = 1;
    Clock::time_point spread_at{};
  };

  void OnRequest(Stream& stream, Fields head, bool end) override;
  void OnGoaway(Connection& connection) override;
  void OnClosed(Connection& connection) override;
  void Forget(Stream& stream) override;

  // The best connection that takes a stream; null when there is none. Connects where that helps.
  Connection* Pick();
  bool IsConnecting() const;
  // Whether the target's name has servers without a connection that are to be tried now.
  bool Spreads(const Target& target, Clock::time_point now) const;
  // With `only_others` to a server that has no connection yet.
  void Connect(Target& target, bool only_others);
  void OnConnected(Target& target, bool only_others, absl::StatusOr<Connector::Made> made);
  // Puts the stream on a connection if there is one.
  bool StartNow(Stream* stream);
  void StartWaiting();
  // Ends those that wait, from the front, until `kept` are left.
  void FailWaiting(std::size_t kept);
  // False when the connection cannot take it.
  bool Start(Connection& connection, Stream* stream);

  const std::shared_ptr<const ClientContext> context_;
  const int loop_;
  std::list<Target> targets_;
  // Connections that end with their streams.
  std::vector<std::shared_ptr<Connection>> leaving_;
  std::list<Stream*> waiting_;
  // Connections with as many streams take turns.
  std::size_t turn_ = 0;
  absl::Status last_error_;
  bool is_fail_posted_ = false;
  bool is_stopped_ = false;
};

}  // namespace penstock::h2
