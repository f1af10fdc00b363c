// gRPC's bidirectional streams over HTTP/2 on event loops, for BidiClient.
#pragma once

#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>

#include "absl/status/statusor.h"
#include "libs/h2/client.h"
#include "libs/http/dns.h"
#include "libs/http/event_loops.h"
#include "libs/rpc/byte_stream.h"

namespace penstock::rpc {

// Clients of some servers, for ChannelOptions::wire. A stream lives on the loop that it is made on,
// or on the loops in turn. What its owner asks for on that loop is done at once, else by a task of
// the loop; its handlers run on the loop. Thread-safe. `loops` must outlive it.
class WireClients {
 public:
  explicit WireClients(http::EventLoops& loops);
  // Stops.
  ~WireClients();
  WireClients(const WireClients&) = delete;
  WireClients& operator=(const WireClients&) = delete;

  // Streams to `address`, "host:port" or "dns:host:port", one client for each, which is kept until
  // Stop; null for other forms of addresses.
  std::shared_ptr<ByteStreams> Get(std::string_view address);

  // Ends all streams with UNAVAILABLE, also those that are started later. Idempotent, blocks;
  // before the loops stop.
  void Stop();

 private:
  class Streams;

  http::EventLoops& loops_;
  http::Dns dns_;
  std::mutex mutex_;
  std::map<std::string, std::shared_ptr<Streams>, std::less<>> streams_;
};

}  // namespace penstock::rpc
