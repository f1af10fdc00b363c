#include "tests/bench/grpc_proxy/roles.h"

#include <grpcpp/generic/async_generic_service.h>
#include <grpcpp/server_builder.h>
#include <unistd.h>

#include <cstdio>
#include <memory>
#include <utility>

#include "libs/h2/server.h"
#include "libs/http/event_loops.h"
#include "libs/metrics/metrics.h"
#include "libs/rpc/peer_auth.h"
#include "services/gateway/api/authenticator.h"
#include "services/gateway/api/grpc_proxy.h"
#include "services/gateway/api/grpc_targets.h"

namespace penstock::gateway {
namespace {

class Echo final : public grpc::ServerGenericBidiReactor {
 public:
  Echo() { StartRead(&message_); }
  void OnReadDone(bool ok) override {
    if (!ok) return Finish(grpc::Status(grpc::StatusCode::INVALID_ARGUMENT, "no message"));
    StartWriteAndFinish(&message_, grpc::WriteOptions(), grpc::Status::OK);
  }
  void OnDone() override { delete this; }

 private:
  grpc::ByteBuffer message_;
};

class EchoService final : public grpc::CallbackGenericService {
 public:
  grpc::ServerGenericBidiReactor* CreateReactor(grpc::GenericCallbackServerContext*) override {
    return new Echo();
  }
};

}  // namespace

void Serve(int port) {
  std::printf("%d\n", port);
  std::fflush(stdout);
  char byte = 0;
  while (read(STDIN_FILENO, &byte, 1) > 0) {
  }
}

int RunEchoServer() {
  EchoService service;
  grpc::ServerBuilder builder;
  builder.RegisterCallbackGenericService(&service);
  int port = 0;
  builder.AddListeningPort("127.0.0.1:0", grpc::InsecureServerCredentials(), &port);
  const auto server = builder.BuildAndStart();
  Serve(port);
  server->Shutdown(std::chrono::system_clock::now());
  return 0;
}

int RunFrameProxy(const std::string& address) {
  http::EventLoops loops({.threads = 2});
  metrics::Registry registry;
  const Authenticator authenticator;
  GrpcUpstream upstream;
  upstream.name = "echo";
  upstream.addresses = {address};
  upstream.methods = {"*"};
  GrpcRoutes routes;
  routes.upstreams = {upstream};
  const std::string nowhere = "127.0.0.1:9";
  const auto targets = GrpcTargets::Create(loops, {nowhere, nowhere, nowhere}, routes);
  const http::PerLoop<GrpcRules> rules(
      loops, std::make_shared<const GrpcRules>(GrpcRules::Of(**targets, authenticator)));
  GrpcProxy proxy(loops, rules, rpc::PeerAuth::Random(), registry);
  const auto server =
      h2::Server::Start(loops, {}, [&proxy](h2::Stream& stream, h2::Fields head, bool end) {
        proxy.Handle(stream, std::move(head), end);
      });
  Serve((*server)->port());
  (*server)->Stop();
  (*targets)->Stop();
  loops.Stop();
  return 0;
}

}  // namespace penstock::gateway
