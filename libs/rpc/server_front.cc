#include "libs/rpc/server_front.h"

#include <utility>

#include "libs/base/status.h"
#include "libs/h2/grpc_wire.h"
#include "libs/rpc/grpc_answer.h"
#include "libs/rpc/wire_fields.h"
#include "libs/rpc/wire_server.h"

namespace penstock::rpc {
namespace {

// Answers that are ready when the server stops get so long to leave.
constexpr std::chrono::milliseconds kFlushTime{200};
// gRPC's library sets no limit; this one is against running out of memory.
constexpr std::uint32_t kStreamsMax = 10'000;
// More than gRPC's library takes (8 KiB), which then says so to the caller in its own way.
constexpr std::size_t kHeaderListMax = 64 * 1024;

}  // namespace

ServerFront::ServerFront(http::EventLoops& loops, Options options)
    : loops_(loops), options_(std::move(options)), dns_(loops, std::chrono::seconds(1), 1) {}

absl::StatusOr<std::unique_ptr<ServerFront>> ServerFront::Start(http::EventLoops& loops,
                                                                Options options) {
  std::unique_ptr<ServerFront> front(new ServerFront(loops, std::move(options)));
  h2::ClientOptions client;
  client.connect = [raw = front.get()] { return raw->Connect(); };
  client.streams_per_connection = kStreamsMax;
  ASSIGN_OR_RETURN(front->client_, h2::Client::Create(loops, front->dns_, std::move(client)));
  front->target_.emplace(
      RelayTarget{.client = *front->client_,
                  .away = [] { return absl::UnavailableError("the server is stopping"); },
                  .label = "the server"});
  h2::ServerOptions server;
  server.bind_address = front->options_.bind_address;
  server.port = front->options_.port;
  server.session.streams_max = kStreamsMax;
  server.session.header_list_max = kHeaderListMax;
  server.session.shares_window = true;
  // A gateway's calls share a connection: what some of its clients do must not end it for all.
  server.session.resets_burst = 20'000;
  server.session.resets_per_second = 2'000;
  server.keepalive = front->options_.keepalive;
  server.age_max = front->options_.age_max;
  ASSIGN_OR_RETURN(
      front->server_,
      h2::Server::Start(loops, std::move(server),
                        [raw = front.get()](h2::Stream& stream, h2::Fields head, bool end) {
                          raw->Handle(stream, std::move(head), end);
                        }));
  return front;
}

ServerFront::~ServerFront() { Stop(); }

// gRPC's server is not to meet a connection once it stops.
absl::StatusOr<int> ServerFront::Connect() {
  const std::lock_guard lock(mutex_);
  if (is_draining_) return absl::UnavailableError("the server is stopping");
  return options_.connect();
}

void ServerFront::BeginDrain() {
  {
    const std::lock_guard lock(mutex_);
    is_draining_ = true;
  }
  server_->Drain(std::chrono::milliseconds(0));
}

void ServerFront::Stop() {
  if (server_ != nullptr) {
    BeginDrain();
    server_->Drain(kFlushTime);
    server_->Stop();
  }
  if (client_ != nullptr) client_->Stop();
  dns_.Stop();
}

bool ServerFront::Serves(const h2::Fields& head) const {
  if (!options_.methods->Has(head.Get(":path"))) return false;
  const std::string_view type = head.Get("content-type");
  const std::string_view encoding = head.Get("grpc-encoding");
  return head.Get(":method") == "POST" &&
         (type == "application/grpc" || type == "application/grpc+proto") &&
         (encoding.empty() || encoding == "identity");
}

void ServerFront::Handle(h2::Stream& stream, h2::Fields head, bool end) {
  if (Serves(head)) return Serve(stream, head, end);
  RelayGrpc(loops_, stream, *target_, {.head = std::move(head), .end = end});
}

void ServerFront::Serve(h2::Stream& stream, const h2::Fields& head, bool end) {
  const auto refuse = [&](const absl::Status& status) {
    LeaveStream(stream);
    AnswerGrpcStatus(stream, status);
  };
  std::optional<std::chrono::microseconds> timeout;
  if (head.Has("grpc-timeout")) {
    timeout = h2::ParseGrpcTimeout(head.Get("grpc-timeout"));
    if (!timeout) return refuse(FieldError("grpc-timeout", "is malformed"));
  }
  const auto& calls = options_.methods->calls();
  const auto call =
      std::make_shared<WireServerCall>(loops_, stream, calls, options_.message_bytes_max);
  if (!calls->Add(call.get(), call)) {
    return refuse(absl::UnavailableError("the server is stopping"));
  }
  call->Open(timeout, end);
  WireOpening opening{.call = call, .metadata = MetadataOf(head), .peer = stream.peer()};
  if (timeout) opening.deadline = std::chrono::system_clock::now() + *timeout;
  options_.methods->Serve(head.Get(":path"), std::move(opening));
}

}  // namespace penstock::rpc
