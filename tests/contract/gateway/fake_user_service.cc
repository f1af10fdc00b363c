#include "tests/contract/gateway/fake_user_service.h"

#include <google/api/httpbody.pb.h>

#include <deque>
#include <string_view>

#include "libs/base/status.h"
#include "libs/rpc/status.h"
#include "penstock/internal/v1/reflection.pb.h"

namespace penstock::gateway {
namespace {

using google::api::HttpBody;
using internal::v1::ReflectionRequest;
using internal::v1::ReflectionResponse;

grpc::ByteBuffer BufferOf(const std::string& bytes) {
  const grpc::Slice slice(bytes);
  return {&slice, 1};
}

std::string BytesOf(const grpc::ByteBuffer& buffer) {
  std::vector<grpc::Slice> slices;
  std::string bytes;
  if (!buffer.Dump(&slices).ok()) return bytes;
  for (const grpc::Slice& slice : slices) {
    bytes.append(reinterpret_cast<const char*>(slice.begin()), slice.size());
  }
  return bytes;
}

std::string Body(const std::string& data) {
  HttpBody body;
  body.set_content_type("text/plain");
  body.set_data(data);
  return body.SerializeAsString();
}

}  // namespace

// One call: reads everything, writes what comes of it in order.
class FakeUserService::Call final : public grpc::ServerGenericBidiReactor {
 public:
  Call(FakeUserService& service, grpc::GenericCallbackServerContext* context)
      : service_(service), method_(context->method().substr(context->method().rfind('/') + 1)) {
    context->AddInitialMetadata("color", "red");
    context->AddInitialMetadata("key-bin", std::string("\0\1", 2));
    context->AddTrailingMetadata("cost", "7");
    StartRead(&incoming_);
  }

  void OnReadDone(bool ok) override {
    const std::lock_guard lock(mutex_);
    if (ok) {
      OnMessage(BytesOf(incoming_));
      StartRead(&incoming_);
    } else {
      OnLast();
      all_read_ = true;
    }
    Pump();
  }

  void OnWriteDone(bool ok) override {
    const std::lock_guard lock(mutex_);
    writing_ = false;
    if (!ok) outgoing_.clear();
    Pump();
  }

  void OnCancel() override {
    const std::lock_guard lock(mutex_);
    hangs_ = false;
    Pump();
  }

  void OnDone() override {
    if (method_ == "Hang") {
      const std::lock_guard lock(service_.mutex_);
      --service_.hanging_;
    }
    delete this;
  }

 private:
  void OnMessage(const std::string& bytes) {
    ++count_;
    merged_ += bytes;
    if (method_ == "ServerReflectionInfo") return Reflect(bytes);
    if (method_ == "Upload") {
      HttpBody body;
      body.ParseFromString(bytes);
      size_ += body.data().size();
    } else if (method_ == "ListItems") {
      for (int i = 0; i < 3; ++i) outgoing_.push_back(bytes);
    } else if (method_ == "Download") {
      outgoing_.push_back(Body("hello "));
      outgoing_.push_back(Body("world"));
      if (bytes.find("broken") != std::string::npos) {
        status_ = {grpc::StatusCode::DATA_LOSS, "the file is broken"};
      }
    } else if (method_ == "Fail") {
      status_ = rpc::ToGrpcStatus(
          WithReason(absl::NotFoundError("there is no such item"), "ITEM_NOT_FOUND", {}));
    } else if (method_ == "Hang") {
      hangs_ = true;
      const std::lock_guard lock(service_.mutex_);
      ++service_.hanging_;
    } else if (method_ != "AddItems") {
      outgoing_.push_back(bytes);
    }
  }

  void OnLast() {
    if (method_ == "AddItems") outgoing_.push_back(merged_);
    if (method_ == "Upload") {
      outgoing_.push_back(Body(std::to_string(count_) + " " + std::to_string(size_)));
    }
  }

  void Reflect(const std::string& bytes) {
    ReflectionRequest request;
    request.ParseFromString(bytes);
    ReflectionResponse response;
    if (request.has_list_services()) {
      response.mutable_services()->add_services()->set_name("shop.v1.Shop");
      response.mutable_services()->add_services()->set_name("grpc.health.v1.Health");
    } else if (request.file_containing_symbol() == "shop.v1.Shop") {
      const google::protobuf::FileDescriptorSet files = service_.files();
      for (const auto& file : files.file()) {
        response.mutable_files()->add_files(file.SerializeAsString());
      }
    } else {
      response.mutable_error()->set_code(grpc::StatusCode::NOT_FOUND);
      response.mutable_error()->set_message("no such file");
    }
    outgoing_.push_back(response.SerializeAsString());
  }

  // Requires mutex_.
  void Pump() {
    if (writing_ || finished_ || hangs_) return;
    if (!outgoing_.empty()) {
      buffer_ = BufferOf(outgoing_.front());
      outgoing_.pop_front();
      writing_ = true;
      return StartWrite(&buffer_);
    }
    if (!all_read_) return;
    finished_ = true;
    Finish(status_);
  }

  FakeUserService& service_;
  const std::string method_;
  std::mutex mutex_;
  grpc::ByteBuffer incoming_;
  grpc::ByteBuffer buffer_;
  std::deque<std::string> outgoing_;
  std::string merged_;
  int count_ = 0;
  std::size_t size_ = 0;
  grpc::Status status_;
  bool writing_ = false;
  bool all_read_ = false;
  bool finished_ = false;
  bool hangs_ = false;
};

grpc::ServerGenericBidiReactor* FakeUserService::CreateReactor(
    grpc::GenericCallbackServerContext* context) {
  const std::string& method = context->method();
  if (method.find("reflection.v1.") != std::string::npos) {
    struct Refusal final : grpc::ServerGenericBidiReactor {
      Refusal() { Finish({grpc::StatusCode::UNIMPLEMENTED, "unknown"}); }
      void OnDone() override { delete this; }
    };
    return new Refusal;
  }
  if (method.find("reflection") == std::string::npos) {
    const std::lock_guard lock(mutex_);
    metadata_.clear();
    for (const auto& [key, value] : context->client_metadata()) {
      metadata_.emplace_back(std::string(key.data(), key.size()),
                             std::string(value.data(), value.size()));
    }
  }
  return new Call(*this, context);
}

void FakeUserService::SetFiles(google::protobuf::FileDescriptorSet files) {
  const std::lock_guard lock(mutex_);
  files_ = std::move(files);
}

google::protobuf::FileDescriptorSet FakeUserService::files() const {
  const std::lock_guard lock(mutex_);
  return files_;
}

std::vector<std::string> FakeUserService::Metadata(const std::string& key) const {
  const std::lock_guard lock(mutex_);
  std::vector<std::string> values;
  for (const auto& [name, value] : metadata_) {
    if (name == key) values.push_back(value);
  }
  return values;
}

int FakeUserService::hanging() const {
  const std::lock_guard lock(mutex_);
  return hanging_;
}

}  // namespace penstock::gateway
