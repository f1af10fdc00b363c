#include "tests/unit/libs/rpc/echo_service.h"

#include "libs/base/ids.h"

namespace penstock::rpc {

grpc::ServerUnaryReactor* EchoService::Echo(grpc::CallbackServerContext* context,
                                            const EchoRequest* request, EchoResponse* response) {
  return ServeUnary(context, request, response,
                    [this](const EchoRequest& given, EchoResponse* answer, CallContext& call,
                           const ServerDone& done) { Answer(given, answer, call, done); });
}

void EchoService::Answer(const EchoRequest& request, EchoResponse* response, CallContext& call,
                         const ServerDone& done) {
  if (on_echo) return on_echo(request, response, call, done);
  response->set_text(request.text());
  done(absl::OkStatus());
}

grpc::ServerWriteReactor<EchoResponse>* EchoService::Count(grpc::CallbackServerContext* context,
                                                           const EchoRequest* request) {
  return CountStream::Serve(context, request, limits, on_count);
}

grpc::ServerBidiReactor<Numbers, Numbers>* EchoService::Exchange(
    grpc::CallbackServerContext* context) {
  return NumbersServer::Serve(context, on_exchange);
}

EchoTest::EchoTest() {
  ServerOptions options;
  options.name = "echo-" + NewUuid();
  options.address = "127.0.0.1:0";
  options.services = {&service_};
  const bool has_network = GetParam() != Transport::kInproc && GetParam() != Transport::kDirect;
  if (GetParam() != Transport::kTcp && GetParam() != Transport::kInproc) {
    direct_.Add<Numbers, Numbers>(
        kExchange, [this](const auto& stream) { return service_.on_exchange(stream); });
    if (GetParam() == Transport::kWire) {
      direct_.AddUnary<EchoRequest, EchoResponse>(
          kEcho,
          [this](const EchoRequest& request, EchoResponse* response, CallContext& call,
                 const ServerDone& done) { service_.Answer(request, response, call, done); });
    }
    options.direct = &direct_;
    options.loops = &loops_;
  }
  auto started = ServerHost::Start(options);
  EXPECT_TRUE(started.ok()) << started.status();
  host_ = *std::move(started);
  host_->SetServing(true);
  channel_ = MakeChannel(has_network ? host_->address() : "inproc:" + options.name,
                         {.wire = GetParam() == Transport::kWire ? &wire_ : nullptr})
                 .value();
}

EchoTest::~EchoTest() {
  host_->Stop(std::chrono::seconds(5));
  wire_.Stop();
  loops_.Stop();
}

absl::StatusOr<EchoResponse> EchoTest::Echo(const std::string& text, const CallOptions& options) {
  EchoRequest request;
  request.set_text(text);
  std::promise<absl::StatusOr<EchoResponse>> result;
  CallUnary<EchoResponse>(channel_, kEcho, request, options,
                          [&](absl::StatusOr<EchoResponse> response, const ResponseMetadata&) {
                            result.set_value(std::move(response));
                          });
  return Await(result);
}

std::string TransportName(const ::testing::TestParamInfo<Transport>& info) {
  switch (info.param) {
    case Transport::kTcp: return "Tcp";
    case Transport::kInproc: return "Inproc";
    case Transport::kFront: return "Front";
    case Transport::kWire: return "Wire";
    case Transport::kDirect: return "Direct";
  }
  return "?";
}

}  // namespace penstock::rpc
