#include "tools/penstock/client/client.h"

#include <grpcpp/support/byte_buffer.h>

#include <condition_variable>
#include <deque>
#include <mutex>
#include <utility>
#include <vector>

#include "libs/base/status.h"
#include "libs/rpc/bidi_client.h"
#include "libs/rpc/channel.h"
#include "libs/rpc/unary_call.h"
#include "tools/penstock/client/errors.h"

namespace penstock::cli {
namespace {

// Answers of a stream that wait to be printed.
constexpr std::size_t kWaitingBytesMax = 64 * 1024 * 1024;

grpc::ByteBuffer Encode(const google::protobuf::Message& message) {
  const grpc::Slice slice(message.SerializeAsString());
  return grpc::ByteBuffer(&slice, 1);
}

std::string Decode(const grpc::ByteBuffer& buffer) {
  std::vector<grpc::Slice> slices;
  std::string bytes;
  if (!buffer.Dump(&slices).ok()) return bytes;
  bytes.reserve(buffer.Length());
  for (const grpc::Slice& slice : slices) {
    bytes.append(reinterpret_cast<const char*>(slice.begin()), slice.size());
  }
  return bytes;
}

// What the callback thread and the waiting thread share; lives as long as either uses it.
struct Waiting {
  std::mutex mutex;
  std::condition_variable changed;
  std::deque<std::string> messages;
  std::size_t bytes = 0;
  bool overflowed = false;
  bool sent = false;
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
  auto channel = rpc::MakeChannel(options_.server);
  if (!channel.ok()) {
    return UsageError("--server: " + std::string(channel.status().message()));
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
      parts_->channel, method, Encode(request), options,
      [waiting](absl::StatusOr<grpc::ByteBuffer> answer, const rpc::ResponseMetadata&) {
        const std::lock_guard lock(waiting->mutex);
        if (answer.ok()) waiting->messages.push_back(Decode(*answer));
        waiting->end = answer.status();
        waiting->changed.notify_all();
      });
  std::unique_lock lock(waiting->mutex);
  waiting->changed.wait(lock, [&] { return waiting->end.has_value(); });
  if (!waiting->end->ok()) return Explain(*waiting->end);
  if (!response->ParseFromString(waiting->messages.front())) {
    return absl::InternalError("the server's answer could not be read");
  }
  return absl::OkStatus();
}

absl::Status Client::StreamRaw(
    const std::string& method, const google::protobuf::Message& request,
    const std::function<absl::StatusOr<bool>(const std::string&)>& on_message) {
  RETURN_IF_ERROR(Connect());
  const auto waiting = std::make_shared<Waiting>();
  // One message and the end of writing: on the wire that is a call that only its server streams.
  using Call = rpc::BidiClient<grpc::ByteBuffer, grpc::ByteBuffer>;
  Call::Handlers handlers;
  handlers.fill = [waiting, encoded = Encode(request)](grpc::ByteBuffer& message) {
    const std::lock_guard lock(waiting->mutex);
    if (std::exchange(waiting->sent, true)) return false;
    message = encoded;
    return true;
  };
  handlers.on_message = [waiting](grpc::ByteBuffer& message) {
    std::string bytes = Decode(message);
    const std::lock_guard lock(waiting->mutex);
    if (waiting->overflowed) return;
    waiting->bytes += bytes.size();
    waiting->overflowed = waiting->bytes > kWaitingBytesMax;
    waiting->messages.push_back(std::move(bytes));
    waiting->changed.notify_all();
  };
  handlers.on_done = [waiting](const absl::Status& status, const rpc::ResponseMetadata&) {
    const std::lock_guard lock(waiting->mutex);
    waiting->end = status;
    waiting->changed.notify_all();
  };
  const auto call =
      Call::Start(parts_->channel, method, CallOptionsOf(options_), std::move(handlers));
  call->Notify();
  call->WritesDone();

  std::unique_lock lock(waiting->mutex);
  absl::Status result;
  bool is_wanted = true;
  while (is_wanted) {
    waiting->changed.wait(lock,
                          [&] { return waiting->end.has_value() || !waiting->messages.empty(); });
    if (waiting->messages.empty()) return Explain(*waiting->end);
    const std::string bytes = std::move(waiting->messages.front());
    waiting->messages.pop_front();
    waiting->bytes -= bytes.size();
    if (waiting->overflowed && waiting->messages.empty()) {
      result = absl::ResourceExhaustedError(
          "the output does not keep up with what the server sends; some was left out");
      break;
    }
    lock.unlock();
    const absl::StatusOr<bool> more = on_message(bytes);
    lock.lock();
    if (!more.ok()) result = more.status();
    is_wanted = more.value_or(false);
  }
  lock.unlock();
  call->Cancel();
  lock.lock();
  waiting->changed.wait(lock, [&] { return waiting->end.has_value(); });
  return result;
}

}  // namespace penstock::cli
