#include "tools/penstock/client/client.h"

#include <condition_variable>
#include <mutex>
#include <utility>

#include "libs/base/status.h"
#include "libs/rpc/channel.h"
#include "libs/rpc/unary_call.h"
#include "tools/penstock/client/errors.h"
#include "tools/penstock/client/exchange_call.h"

namespace penstock::cli {
namespace {

// What the callback thread and the waiting thread share; lives as long as either uses it.
struct Waiting {
  std::mutex mutex;
  std::condition_variable changed;
  std::string answer;
  std::optional<absl::Status> end;
};

rpc::CallOptions CallOptionsOf(const ClientOptions& options) {
  rpc::CallOptions call;
  if (!options.token.empty()) call.metadata = {{"authorization", "Bearer " + options.token}};
  return call;
}

}  // namespace

struct Client::Parts {
  std::shared_ptr<grpc::Channel> channel;
};

Client::Client(ClientOptions options)
    : options_(std::move(options)), parts_(std::make_unique<Parts>()) {}

Client::~Client() = default;

absl::Status Client::Connect() {
  if (parts_->channel != nullptr) return absl::OkStatus();
  rpc::ChannelOptions options;
  if (options_.tls) options.tls = {options_.tls->ca, options_.tls->certificate, options_.tls->key};
  auto channel = rpc::MakeChannel(options_.server, options);
  if (!channel.ok()) {
    // A TLS file is named as `tls.…`, and has a flag of that name.
    const std::string why(channel.status().message());
    return UsageError(why.starts_with("tls.") ? "--tls-" + why.substr(4) : "--server: " + why);
  }
  parts_->channel = *std::move(channel);
  return absl::OkStatus();
}

absl::Status Client::Explain(const absl::Status& status) const {
  const bool is_transport = status.code() == absl::StatusCode::kUnavailable ||
                            status.code() == absl::StatusCode::kDeadlineExceeded;
  if (!is_transport) return status;
  const auto state = parts_->channel->GetState(false);
  if (state != GRPC_CHANNEL_TRANSIENT_FAILURE && state != GRPC_CHANNEL_CONNECTING) return status;
  return NotReachableError(options_.server, std::string(status.message()));
}

absl::Status Client::CallRaw(const std::string& method, const google::protobuf::Message& request,
                             google::protobuf::Message* response,
                             std::optional<std::chrono::milliseconds> timeout) {
  RETURN_IF_ERROR(Connect());
  rpc::CallOptions options = CallOptionsOf(options_);
  options.timeout = timeout.value_or(options_.timeout);
  const auto waiting = std::make_shared<Waiting>();
  rpc::CallUnary<grpc::ByteBuffer>(
      parts_->channel, method, EncodeBytes(request), options,
      [waiting](absl::StatusOr<grpc::ByteBuffer> answer, const rpc::ResponseMetadata&) {
        const std::lock_guard lock(waiting->mutex);
        if (answer.ok()) waiting->answer = DecodeBytes(*answer);
        waiting->end = answer.status();
        waiting->changed.notify_all();
      });
  std::unique_lock lock(waiting->mutex);
  waiting->changed.wait(lock, [&] { return waiting->end.has_value(); });
  if (!waiting->end->ok()) return Explain(*waiting->end);
  if (!response->ParseFromString(waiting->answer)) {
    return absl::InternalError("the server's answer could not be read");
  }
  return absl::OkStatus();
}

absl::StatusOr<std::unique_ptr<Exchange>> Client::Open(const std::string& method) {
  RETURN_IF_ERROR(Connect());
  return std::make_unique<Exchange>(
      Exchange::Call::Start(parts_->channel, method, CallOptionsOf(options_)),
      [this](const absl::Status& status) { return Explain(status); });
}

}  // namespace penstock::cli
