#include "libs/rpc/server_host.h"

#include <grpc/health/v1/health.pb.h>
#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <thread>

#include "libs/base/status.h"
#include "libs/rpc/channel.h"
#include "tests/unit/libs/rpc/echo_service.h"

namespace penstock::rpc {
namespace {

using grpc::health::v1::HealthCheckRequest;
using grpc::health::v1::HealthCheckResponse;

class ServerHostTest : public EchoTest {
 protected:
  absl::StatusOr<HealthCheckResponse::ServingStatus> Health(const std::string& service) {
    HealthCheckRequest request;
    request.set_service(service);
    std::promise<absl::StatusOr<HealthCheckResponse>> answer;
    CallUnary<HealthCheckResponse>(
        channel_, "/grpc.health.v1.Health/Check", request, {},
        [&](absl::StatusOr<HealthCheckResponse> response, const ResponseMetadata&) {
          answer.set_value(std::move(response));
        });
    const auto response = Await(answer);
    if (!response.ok()) return response.status();
    return response->status();
  }
};
INSTANTIATE_TRANSPORTS(ServerHostTest);

TEST_P(ServerHostTest, HealthFollowsTheService) {
  EXPECT_EQ(Health("").value(), HealthCheckResponse::SERVING);
  EXPECT_EQ(Health("penstock.testing.EchoService").value(), HealthCheckResponse::SERVING);
  host_->SetServing("penstock.testing.EchoService", false);
  EXPECT_EQ(Health("penstock.testing.EchoService").value(), HealthCheckResponse::NOT_SERVING);
  host_->SetServing(false);
  EXPECT_EQ(Health("").value(), HealthCheckResponse::NOT_SERVING);
  EXPECT_EQ(Health("no.such.Service").status().code(), absl::StatusCode::kNotFound);
}

TEST_P(ServerHostTest, ReflectionListsTheServices) {
  std::promise<std::string> listed;
  BidiClientHandlers<grpc::ByteBuffer, grpc::ByteBuffer> handlers;
  handlers.fill = [sent = false](grpc::ByteBuffer& message) mutable {
    // ServerReflectionRequest{list_services: "*"}.
    const grpc::Slice slice(std::string("\x3a\x01*"));
    message = grpc::ByteBuffer(&slice, 1);
    return !std::exchange(sent, true);
  };
  handlers.on_message = [&](grpc::ByteBuffer& message) {
    grpc::Slice slice;
    EXPECT_TRUE(message.DumpToSingleSlice(&slice).ok());
    listed.set_value(std::string(reinterpret_cast<const char*>(slice.begin()), slice.size()));
  };
  std::promise<void> done;
  handlers.on_done = [&](const absl::Status&, const ResponseMetadata&) { done.set_value(); };
  const auto client = BidiClient<grpc::ByteBuffer, grpc::ByteBuffer>::Start(
      channel_, "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo", {}, handlers);
  EXPECT_NE(Await(listed).find("penstock.testing.EchoService"), std::string::npos);
  client->WritesDone();
  Await(done);
}

TEST_P(ServerHostTest, ASecondServerOnThePortIsRefused) {
  EchoService other;
  ServerOptions options;
  options.address = host_->address();
  options.services = {&other};
  if (GetParam() == Transport::kFront) {
    options.direct = &direct_;
    options.loops = &loops_;
  }
  const auto second = ServerHost::Start(options);
  ASSERT_FALSE(second.ok());
  EXPECT_NE(second.status().message().find(host_->address()), absl::string_view::npos)
      << second.status();
}

TEST(ServerStartTest, AnAddressOfAnotherMachineIsRefused) {
  ServerOptions options;
  options.address = "192.0.2.1:9020";
  EXPECT_EQ(ServerHost::Start(options).status().code(), absl::StatusCode::kFailedPrecondition);
}

TEST(ServerStartTest, ANameIsGivenOnce) {
  EchoService service;
  ServerOptions options;
  options.name = "taken-name";
  options.services = {&service};
  auto first = ServerHost::Start(options);
  ASSERT_TRUE(first.ok()) << first.status();
  EchoService other;
  options.services = {&other};
  EXPECT_EQ(ServerHost::Start(options).status().code(), absl::StatusCode::kAlreadyExists);
  (*first)->Stop(std::chrono::milliseconds(100));
  EXPECT_TRUE(ServerHost::Start(options).ok()) << "free again after Stop";
}

TEST(ServerStartTest, MissingTlsFilesAreNamed) {
  ServerOptions options;
  options.address = "127.0.0.1:0";
  options.tls = TlsFiles{.certificate = "/no/such.pem", .key = "/no/such.key"};
  const absl::Status status = ServerHost::Start(options).status();
  ASSERT_EQ(FieldViolationsOf(status).size(), 1u);
  EXPECT_EQ(FieldViolationsOf(status)[0].field, "tls.certificate");
}

TEST(ChannelTest, RefusesAddressesThatCannotWork) {
  for (const char* address : {"", "localhost", "localhost:", "localhost:x", "localhost:70000",
                              ":9020", "inproc:", "dns:localhost"}) {
    EXPECT_EQ(MakeChannel(address).status().code(), absl::StatusCode::kInvalidArgument) << address;
  }
  for (const char* address : {"localhost:9020", "dns:broker:9020", "dns:///broker:9020",
                              "[::1]:9020", "unix:/tmp/socket"}) {
    EXPECT_TRUE(MakeChannel(address).ok()) << address;
  }
  EXPECT_EQ(MakeChannel("inproc:nobody").status().code(), absl::StatusCode::kUnavailable);
}

TEST(ChannelTest, ALazyChannelFollowsTheServerOfItsName) {
  LazyChannel lazy("inproc:lazy");
  EXPECT_EQ(lazy.Get().status().code(), absl::StatusCode::kUnavailable);
  EchoService service;
  ServerOptions options;
  options.name = "lazy";
  options.services = {&service};
  std::shared_ptr<grpc::Channel> first;
  {
    auto host = ServerHost::Start(options);
    ASSERT_TRUE(host.ok());
    first = lazy.Get().value();
    EXPECT_EQ(lazy.Get().value(), first);
  }
  auto again = ServerHost::Start(options);
  ASSERT_TRUE(again.ok());
  EXPECT_NE(lazy.Get().value(), first);
}

}  // namespace
}  // namespace penstock::rpc
