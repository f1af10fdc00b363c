// A service whose methods do what a test says, and a fixture that runs it over TCP and inside the
// process.
#pragma once

#include <gtest/gtest.h>
#include <penstock/testing/echo.grpc.pb.h>

#include <chrono>
#include <future>
#include <memory>
#include <string>
#include <utility>

#include "libs/http/event_loops.h"
#include "libs/rpc/bidi_client.h"
#include "libs/rpc/bidi_server.h"
#include "libs/rpc/server_host.h"
#include "libs/rpc/server_stream.h"
#include "libs/rpc/server_unary.h"
#include "libs/rpc/unary_call.h"
#include "libs/rpc/unary_server_wire.h"
#include "libs/rpc/wire_client.h"

namespace penstock::rpc {

using penstock::testing::EchoRequest;
using penstock::testing::EchoResponse;
using penstock::testing::Numbers;
using NumbersServer = BidiServer<Numbers, Numbers>;
using NumbersClient = BidiClient<Numbers, Numbers>;
using CountStream = ServerStream<EchoResponse>;

inline constexpr char kEcho[] = "/penstock.testing.EchoService/Echo";
inline constexpr char kCount[] = "/penstock.testing.EchoService/Count";
inline constexpr char kExchange[] = "/penstock.testing.EchoService/Exchange";
inline constexpr std::chrono::seconds kPatience{20};

// Set the functions before the first call.
class EchoService final : public penstock::testing::EchoService::CallbackService {
 public:
  grpc::ServerUnaryReactor* Echo(grpc::CallbackServerContext* context, const EchoRequest* request,
                                 EchoResponse* response) override;
  grpc::ServerWriteReactor<EchoResponse>* Count(grpc::CallbackServerContext* context,
                                                const EchoRequest* request) override;
  grpc::ServerBidiReactor<Numbers, Numbers>* Exchange(
      grpc::CallbackServerContext* context) override;

  // What Echo does.
  void Answer(const EchoRequest& request, EchoResponse* response, CallContext& call,
              const ServerDone& done);

  std::function<void(const EchoRequest&, EchoResponse*, CallContext&, ServerDone)> on_echo;
  ServerStreamLimits limits;
  std::function<void(const EchoRequest&, const std::shared_ptr<CountStream>&)> on_count;
  std::function<BidiServerHandlers<Numbers, Numbers>(const std::shared_ptr<NumbersServer>&)>
      on_exchange;
};

// kFront: gRPC's client, and a server behind a ServerFront, which has Exchange. kWire: the same
// with Echo too, and with streams of WireClients. kDirect is for streams: in this process and
// without gRPC.
enum class Transport { kTcp, kInproc, kFront, kWire, kDirect };

// Starts a server with an EchoService and a channel to it over the transport of the parameter.
class EchoTest : public ::testing::TestWithParam<Transport> {
 protected:
  EchoTest();
  ~EchoTest() override;

  // Calls Echo and waits.
  absl::StatusOr<EchoResponse> Echo(const std::string& text, const CallOptions& options = {});

  EchoService service_;
  DirectMethods direct_;
  http::EventLoops loops_{{.threads = 2, .name = "test"}};
  WireClients wire_{loops_};
  std::unique_ptr<ServerHost> host_;
  std::shared_ptr<grpc::Channel> channel_;
};

// Waits for a value, and fails instead of hanging for ever.
template <typename Value>
Value Await(std::promise<Value>& promise) {
  auto future = promise.get_future();
  if (future.wait_for(kPatience) != std::future_status::ready) {
    ADD_FAILURE() << "nothing came in time";
    std::abort();  // What still runs refers to this test's variables.
  }
  return future.get();
}

// Waits until a condition that nothing announces holds.
template <typename Condition>
bool Eventually(const Condition& condition) {
  const auto until = std::chrono::steady_clock::now() + kPatience;
  while (!condition()) {
    if (std::chrono::steady_clock::now() > until) return false;
    std::this_thread::yield();
  }
  return true;
}

std::string TransportName(const ::testing::TestParamInfo<Transport>& info);

#define INSTANTIATE_TRANSPORTS(fixture)                                                         \
  INSTANTIATE_TEST_SUITE_P(                                                                     \
      Over, fixture, ::testing::Values(Transport::kTcp, Transport::kInproc, Transport::kFront), \
      TransportName)

}  // namespace penstock::rpc
