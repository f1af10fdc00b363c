// The part of the client that lives on one loop: its connections and the requests that wait for
// them. Internal to libs/http: it shows Asio.
#pragma once

#include <atomic>
#include <boost/asio/ssl/context.hpp>
#include <boost/asio/steady_timer.hpp>
#include <chrono>
#include <cstdint>
#include <deque>
#include <memory>
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

#include "libs/http/client.h"
#include "libs/http/client_stream.h"
#include "libs/http/dns.h"
#include "libs/http/url.h"

namespace penstock::http {

class ClientConnection;
class ClientPool;

// What all loops of one client share.
struct ClientContext {
  ClientContext(EventLoops& event_loops, ClientOptions client_options)
      : loops(event_loops),
        options(std::move(client_options)),
        dns(event_loops, options.dns_cache, options.dns_threads) {}

  EventLoops& loops;
  const ClientOptions options;
  std::unique_ptr<boost::asio::ssl::context> tls;
  Dns dns;
  std::atomic<bool> stopped{false};
};

// One Send, from the queue to its end. Used on its loop only.
struct ClientCall {
  ClientCall(ClientRequest client_request, Url parsed_url, std::string pool_key,
             Client::Done on_done);

  // Calls `done`, once.
  void Finish(absl::StatusOr<ClientResponse> result);
  // Ends the call without `done`.
  void Drop();

  ClientRequest request;
  const Url url;
  // What its connections are pooled by.
  const std::string key;
  Client::Done done;
  // Set for a request that is sent, and whose answer is taken, in pieces; of `request` only the
  // timeouts and `idempotent` count then. It holds the call, until the call is over.
  std::shared_ptr<ClientStream> stream;
  // Runs out when the request's timeout does; a stream's runs only while it waits for a connection.
  std::optional<boost::asio::steady_timer> timer;
  // The connection that works for this call, if any; it holds the call.
  std::weak_ptr<ClientConnection> connection;
  // Sent before on a connection that turned out to be closed.
  bool is_retry = false;
};

// Lives as long as the client, a call or a connection refers to it. Used on its loop, but for
// Stats.
class ClientPool : public std::enable_shared_from_this<ClientPool> {
 public:
  ClientPool(std::shared_ptr<ClientContext> context, int loop);

  // Finds or opens a connection for `call`, or queues it.
  void Start(std::shared_ptr<ClientCall> call);
  // Ends `call` wherever it is.
  void Cancel(const std::shared_ptr<ClientCall>& call);
  // Ends everything with CANCELLED.
  void Stop();
  // Lets no connection of before be used again.
  void RenewConnections();
  // Counts those calls: a connection of another epoch than the present one is not kept.
  int epoch() const { return epoch_; }

  // From connections: `connection` can take another request, or is closed for good.
  void OnIdle(const std::shared_ptr<ClientConnection>& connection);
  void OnClosed(const std::shared_ptr<ClientConnection>& connection);
  // From connections: tries `call` once more on a connection of its own.
  void Retry(std::shared_ptr<ClientCall> call);

  ClientContext& context() { return *context_; }
  int loop() const { return loop_; }
  // Adds this loop's counters.
  void AddStats(ClientStats& stats) const;

 private:
  struct Host {
    // The one used last is at the end, and is used first.
    std::vector<std::shared_ptr<ClientConnection>> idle;
    int open = 0;
    std::deque<std::shared_ptr<ClientCall>> waiting;
  };

  void StartTimer(const std::shared_ptr<ClientCall>& call);
  void Place(std::shared_ptr<ClientCall> call);
  std::shared_ptr<ClientConnection> TakeIdle(const std::string& key);
  void Connect(std::shared_ptr<ClientCall> call);
  void EraseIfUnused(const std::string& key);
  void OnTimeout(const std::shared_ptr<ClientCall>& call);
  void End(const std::shared_ptr<ClientCall>& call, absl::Status while_queued,
           absl::Status while_sent);

  const std::shared_ptr<ClientContext> context_;
  const int loop_;
  const int connections_max_;
  int epoch_ = 0;
  std::unordered_map<std::string, Host> hosts_;
  std::unordered_map<ClientConnection*, std::shared_ptr<ClientConnection>> connections_;
  std::atomic<std::uint64_t> requests_{0};
  std::atomic<std::uint64_t> opened_{0};
  std::atomic<std::uint64_t> reused_{0};
  std::atomic<std::uint64_t> retries_{0};
};

// What connections are pooled by.
std::string PoolKeyOf(const Url& url);

}  // namespace penstock::http
