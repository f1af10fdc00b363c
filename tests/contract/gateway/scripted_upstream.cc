#include "tests/contract/gateway/scripted_upstream.h"

#include <grpcpp/server_builder.h>

#include <utility>
#include <vector>

#include "libs/base/status.h"
#include "libs/rpc/status.h"

namespace penstock::gateway {

std::string Bytes(const grpc::ByteBuffer& buffer) {
  std::vector<grpc::Slice> slices;
  if (!buffer.Dump(&slices).ok()) return {};
  std::string bytes;
  for (const grpc::Slice& slice : slices) {
    bytes.append(reinterpret_cast<const char*>(slice.begin()), slice.size());
  }
  return bytes;
}

grpc::ByteBuffer Buffer(const std::string& bytes) {
  const grpc::Slice slice(bytes);
  return {&slice, 1};
}

std::string Value(const std::multimap<grpc::string_ref, grpc::string_ref>& metadata,
                  const std::string& key) {
  const auto found = metadata.find(key);
  if (found == metadata.end()) return {};
  return {found->second.data(), found->second.size()};
}

class ScriptedUpstream::Call final : public grpc::ServerGenericBidiReactor {
 public:
  Call(ScriptedUpstream& upstream, grpc::GenericCallbackServerContext& context)
      : upstream_(upstream), method_(context.method().substr(context.method().rfind('/') + 1)) {
    ++upstream_.open;
    if (method_ == "Fail") {
      Finish(rpc::ToGrpcStatus(WithReason(absl::FailedPreconditionError("no \xC3\xA9% today"),
                                          "SCRIPTED", {{"k", "v"}})));
      return;
    }
    for (const char* key : {"", "-bin"}) {
      const std::string value = Value(context.client_metadata(), std::string("x-up") + key);
      if (value.empty()) continue;
      context.AddInitialMetadata(std::string("x-down") + key, value);
      context.AddTrailingMetadata(std::string("x-down") + key, value + "!");
    }
    if (method_ == "Echo") context.set_compression_algorithm(GRPC_COMPRESS_GZIP);
    if (method_ == "Flood") {
      message_ = Buffer(std::string(kFloodBytes, 'x'));
      StartWrite(&message_);
    } else {
      StartRead(&message_);
    }
  }

  void OnReadDone(bool ok) override {
    if (method_ == "Hold") return;
    if (!ok || method_ == "Quit") return FinishOnce(grpc::Status::OK);
    StartWrite(&message_);
  }
  void OnWriteDone(bool ok) override {
    if (!ok) return FinishOnce(grpc::Status::OK);
    if (method_ == "Flood") {
      upstream_.bytes_flooded += kFloodBytes;
      StartWrite(&message_);
    } else {
      StartRead(&message_);
    }
  }
  void OnCancel() override {
    ++upstream_.cancelled;
    FinishOnce(grpc::Status::CANCELLED);
  }
  void OnDone() override {
    --upstream_.open;
    delete this;
  }

 private:
  void FinishOnce(const grpc::Status& status) {
    if (!is_finished_.exchange(true)) Finish(status);
  }

  ScriptedUpstream& upstream_;
  const std::string method_;
  grpc::ByteBuffer message_;
  std::atomic<bool> is_finished_{false};
};

class ScriptedUpstream::Service final : public grpc::CallbackGenericService {
 public:
  explicit Service(ScriptedUpstream& upstream) : upstream_(upstream) {}
  grpc::ServerGenericBidiReactor* CreateReactor(
      grpc::GenericCallbackServerContext* context) override {
    upstream_.Note(*context);
    return new Call(upstream_, *context);
  }

 private:
  ScriptedUpstream& upstream_;
};

ScriptedUpstream::ScriptedUpstream() { Start(); }
ScriptedUpstream::~ScriptedUpstream() { Stop(); }

void ScriptedUpstream::Start() {
  service_ = std::make_unique<Service>(*this);
  grpc::ServerBuilder builder;
  builder.RegisterCallbackGenericService(service_.get());
  builder.SetMaxReceiveMessageSize(16 << 20);
  builder.AddChannelArgument(GRPC_ARG_ALLOW_REUSEPORT, 0);
  int port = 0;
  builder.AddListeningPort(address(), grpc::InsecureServerCredentials(), &port);
  server_ = builder.BuildAndStart();
  port_ = port;
}

void ScriptedUpstream::Stop() {
  if (server_ != nullptr) server_->Shutdown(std::chrono::system_clock::now());
  server_.reset();
  service_.reset();
}

std::multimap<std::string, std::string> ScriptedUpstream::metadata() const {
  const std::lock_guard lock(mutex_);
  return metadata_;
}

std::optional<std::chrono::milliseconds> ScriptedUpstream::time_left() const {
  const std::lock_guard lock(mutex_);
  return time_left_;
}

void ScriptedUpstream::Note(const grpc::GenericCallbackServerContext& context) {
  const std::lock_guard lock(mutex_);
  metadata_.clear();
  for (const auto& [key, value] : context.client_metadata()) {
    metadata_.emplace(std::string(key.data(), key.size()), std::string(value.data(), value.size()));
  }
  time_left_.reset();
  if (context.deadline() != std::chrono::system_clock::time_point::max()) {
    time_left_ = std::chrono::duration_cast<std::chrono::milliseconds>(
        context.deadline() - std::chrono::system_clock::now());
  }
}

AnyCall::AnyCall(const std::shared_ptr<grpc::Channel>& channel, const std::string& method,
                 std::multimap<std::string, std::string> metadata,
                 std::chrono::milliseconds timeout)
    : stub_(channel), method_(method) {
  for (const auto& [key, value] : metadata) context.AddMetadata(key, value);
  if (timeout.count() > 0) context.set_deadline(std::chrono::system_clock::now() + timeout);
}

AnyCall::~AnyCall() {
  if (stream_ != nullptr) context.TryCancel();
  queue_.Shutdown();
  void* tag = nullptr;
  bool ok = false;
  while (queue_.Next(&tag, &ok)) {
  }
}

void AnyCall::Start() {
  stream_ = stub_.PrepareCall(&context, method_, &queue_);
  stream_->StartCall(this);
  Wait();
}

bool AnyCall::Write(const std::string& message) {
  stream_->Write(Buffer(message), this);
  return Wait();
}

bool AnyCall::WritesDone() {
  stream_->WritesDone(this);
  return Wait();
}

std::optional<std::string> AnyCall::Read() {
  grpc::ByteBuffer buffer;
  stream_->Read(&buffer, this);
  if (!Wait()) return std::nullopt;
  return Bytes(buffer);
}

grpc::Status AnyCall::Finish() {
  grpc::Status status;
  stream_->Finish(&status, this);
  Wait();
  return status;
}

bool AnyCall::Wait() {
  void* tag = nullptr;
  bool ok = false;
  return queue_.Next(&tag, &ok) && ok;
}

}  // namespace penstock::gateway
