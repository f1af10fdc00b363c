#include "tools/penstock/client/exchange.h"

#include <utility>
#include <vector>

#include "tools/penstock/client/exchange_call.h"

namespace penstock::cli {
namespace {

// Answers that wait to be taken.
constexpr std::size_t kWaitingBytesMax = 64 * 1024 * 1024;

}  // namespace

grpc::ByteBuffer EncodeBytes(const google::protobuf::Message& message) {
  const grpc::Slice slice(message.SerializeAsString());
  return grpc::ByteBuffer(&slice, 1);
}

std::string DecodeBytes(const grpc::ByteBuffer& buffer) {
  std::vector<grpc::Slice> slices;
  std::string bytes;
  if (!buffer.Dump(&slices).ok()) return bytes;
  bytes.reserve(buffer.Length());
  for (const grpc::Slice& slice : slices) {
    bytes.append(reinterpret_cast<const char*>(slice.begin()), slice.size());
  }
  return bytes;
}

std::shared_ptr<Exchange::Call> Exchange::Call::Start(const std::shared_ptr<grpc::Channel>& channel,
                                                      const std::string& method,
                                                      const rpc::CallOptions& options) {
  auto call = std::make_shared<Call>();
  Stream::Handlers handlers;
  handlers.fill = [call](grpc::ByteBuffer& message) {
    const std::lock_guard lock(call->mutex);
    if (call->outgoing.empty()) return false;
    message = std::move(call->outgoing.front());
    call->outgoing.pop_front();
    return true;
  };
  handlers.on_message = [call](grpc::ByteBuffer& message) {
    std::string bytes = DecodeBytes(message);
    const std::lock_guard lock(call->mutex);
    if (call->overflowed) return;
    call->bytes += bytes.size();
    call->overflowed = call->bytes > kWaitingBytesMax;
    call->answers.push_back(std::move(bytes));
    call->changed.notify_all();
  };
  handlers.on_done = [call](const absl::Status& status, const rpc::ResponseMetadata&) {
    const std::lock_guard lock(call->mutex);
    call->end = status;
    call->changed.notify_all();
  };
  call->stream = Stream::Start(channel, method, options, std::move(handlers));
  return call;
}

Exchange::Exchange(std::shared_ptr<Call> call,
                   std::function<absl::Status(const absl::Status&)> explain)
    : call_(std::move(call)), explain_(std::move(explain)) {}

Exchange::~Exchange() {
  call_->stream->Cancel();
  std::unique_lock lock(call_->mutex);
  call_->changed.wait(lock, [this] { return call_->end.has_value(); });
  lock.unlock();
  call_->stream.reset();
}

void Exchange::Send(const google::protobuf::Message& message) {
  {
    const std::lock_guard lock(call_->mutex);
    call_->outgoing.push_back(EncodeBytes(message));
  }
  call_->stream->Notify();
}

void Exchange::EndSending() { call_->stream->WritesDone(); }

absl::StatusOr<std::optional<std::string>> Exchange::ReceiveRaw(
    std::optional<std::chrono::milliseconds> wait) {
  std::unique_lock lock(call_->mutex);
  const auto has_news = [this] {
    return call_->end.has_value() || !call_->answers.empty() || call_->overflowed;
  };
  if (!wait) {
    call_->changed.wait(lock, has_news);
  } else if (!call_->changed.wait_for(lock, *wait, has_news)) {
    return std::optional<std::string>();
  }
  if (!call_->answers.empty()) {
    std::optional<std::string> bytes(std::move(call_->answers.front()));
    call_->answers.pop_front();
    call_->bytes -= bytes->size();
    return bytes;
  }
  if (call_->overflowed) {
    return absl::ResourceExhaustedError(
        "the output does not keep up with what the server sends; some was left out");
  }
  ended_ = true;
  const absl::Status end = *call_->end;
  lock.unlock();
  if (!end.ok()) return explain_(end);
  return std::optional<std::string>();
}

}  // namespace penstock::cli
