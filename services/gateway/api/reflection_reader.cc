#include "services/gateway/api/reflection_reader.h"

#include <grpcpp/support/byte_buffer.h>

#include <condition_variable>
#include <deque>
#include <mutex>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "libs/base/status.h"
#include "libs/rpc/bidi_client.h"
#include "penstock/internal/v1/reflection.pb.h"

namespace penstock::gateway {
namespace {

using google::protobuf::FileDescriptorProto;
using google::protobuf::FileDescriptorSet;
using internal::v1::ReflectionRequest;
using internal::v1::ReflectionResponse;
using Stream = rpc::BidiClient<grpc::ByteBuffer, grpc::ByteBuffer>;

// Files that one server may have; more is a server that never stops naming new ones.
constexpr std::size_t kFilesMax = 10'000;

constexpr const char* kMethods[] = {
    "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo",
    "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo"};

grpc::ByteBuffer BytesOf(const ReflectionRequest& request) {
  const grpc::Slice slice(request.SerializeAsString());
  return {&slice, 1};
}

bool Parse(const grpc::ByteBuffer& bytes, ReflectionResponse* response) {
  std::vector<grpc::Slice> slices;
  if (!bytes.Dump(&slices).ok()) return false;
  std::string text;
  for (const grpc::Slice& slice : slices) {
    text.append(reinterpret_cast<const char*>(slice.begin()), slice.size());
  }
  return response->ParseFromString(text);
}

class Reader final : public ReflectionReader, public std::enable_shared_from_this<Reader> {
 public:
  Reader(std::shared_ptr<grpc::Channel> channel, std::function<void()> on_lost)
      : channel_(std::move(channel)), on_lost_(std::move(on_lost)) {}

  absl::StatusOr<FileDescriptorSet> Read(std::chrono::milliseconds timeout) override {
    timeout_ = timeout;
    absl::StatusOr<FileDescriptorSet> files = absl::UnimplementedError("");
    for (const char* method : kMethods) {
      Begin(method);
      files = ReadFiles();
      if (files.status().code() != absl::StatusCode::kUnimplemented) break;
    }
    const std::lock_guard lock(mutex_);
    // Lost already, after the last answer: that is for on_lost to say, too.
    watched_ = files.ok();
    if (watched_ && end_ && on_lost_) on_lost_();
    return files;
  }

  void Close() override {
    std::shared_ptr<Stream> stream;
    {
      const std::lock_guard lock(mutex_);
      on_lost_ = nullptr;
      closed_ = true;
      stream = stream_;
    }
    if (stream != nullptr) stream->Cancel();
  }

 private:
  void Begin(const char* method) {
    {
      const std::lock_guard lock(mutex_);
      end_.reset();
      question_.reset();
      answers_.clear();
    }
    const auto self = shared_from_this();
    auto stream = Stream::Start(
        channel_, method, {},
        {.fill = [self](grpc::ByteBuffer& message) { return self->Fill(message); },
         .on_message = [self](grpc::ByteBuffer& message) { self->OnMessage(message); },
         .on_done = [self](const absl::Status& status,
                           const rpc::ResponseMetadata&) { self->OnDone(status); }});
    const std::lock_guard lock(mutex_);
    stream_ = std::move(stream);
    if (closed_) stream_->Cancel();
  }

  bool Fill(grpc::ByteBuffer& message) {
    const std::lock_guard lock(mutex_);
    if (!question_) return false;
    message = BytesOf(*question_);
    question_.reset();
    return true;
  }

  void OnMessage(const grpc::ByteBuffer& message) {
    ReflectionResponse response;
    const bool parsed = Parse(message, &response);
    const std::lock_guard lock(mutex_);
    // Nothing is asked twice at a time: more answers than one are none to a question.
    if (!parsed || !answers_.empty()) return;
    answers_.push_back(std::move(response));
    changed_.notify_all();
  }

  void OnDone(const absl::Status& status) {
    const std::lock_guard lock(mutex_);
    end_ =
        status.ok() ? absl::UnavailableError("the reflection service ended its answers") : status;
    if (watched_ && on_lost_) on_lost_();
    changed_.notify_all();
  }

  absl::StatusOr<ReflectionResponse> Ask(ReflectionRequest question) {
    std::shared_ptr<Stream> stream;
    {
      const std::lock_guard lock(mutex_);
      question_ = std::move(question);
      answers_.clear();
      stream = stream_;
    }
    stream->Notify();
    std::unique_lock lock(mutex_);
    const bool in_time =
        changed_.wait_for(lock, timeout_, [this] { return end_ || !answers_.empty(); });
    if (!in_time) return absl::DeadlineExceededError("the reflection service does not answer");
    if (answers_.empty()) return *end_;
    ReflectionResponse answer = std::move(answers_.front());
    answers_.pop_front();
    if (!answer.has_error()) return answer;
    return absl::Status(static_cast<absl::StatusCode>(answer.error().code()),
                        answer.error().message());
  }

  absl::StatusOr<FileDescriptorSet> ReadFiles() {
    ReflectionRequest list;
    list.set_list_services("*");
    ASSIGN_OR_RETURN(const ReflectionResponse services, Ask(std::move(list)));
    if (!services.has_services()) {
      return absl::InternalError("the reflection service does not list its services");
    }
    FileDescriptorSet files;
    std::set<std::string> known;
    for (const auto& service : services.services().services()) {
      if (service.name().starts_with("grpc.")) continue;
      ReflectionRequest question;
      question.set_file_containing_symbol(service.name());
      RETURN_IF_ERROR(Add(std::move(question), &known, &files));
    }
    // Servers may leave out imports, and say only what was asked for.
    for (int i = 0; i < files.file_size(); ++i) {
      for (int j = 0; j < files.file(i).dependency_size(); ++j) {
        const std::string import = files.file(i).dependency(j);
        if (known.contains(import)) continue;
        ReflectionRequest question;
        question.set_file_by_filename(import);
        const absl::Status added = Add(std::move(question), &known, &files);
        // What is standard may be missing: DescriptorSet has it.
        if (!added.ok() && added.code() != absl::StatusCode::kNotFound) return added;
        known.insert(import);
      }
    }
    return files;
  }

  absl::Status Add(ReflectionRequest question, std::set<std::string>* known,
                   FileDescriptorSet* files) {
    ASSIGN_OR_RETURN(const ReflectionResponse answer, Ask(std::move(question)));
    if (!answer.has_files()) {
      return absl::InternalError("the reflection service answers something else than was asked");
    }
    for (const std::string& bytes : answer.files().files()) {
      FileDescriptorProto file;
      if (!file.ParseFromString(bytes)) {
        return absl::InvalidArgumentError("the reflection service sends malformed descriptors");
      }
      if (!known->insert(file.name()).second) continue;
      if (known->size() > kFilesMax) {
        return absl::ResourceExhaustedError("the reflection service names too many files");
      }
      *files->add_file() = std::move(file);
    }
    return absl::OkStatus();
  }

  const std::shared_ptr<grpc::Channel> channel_;
  std::chrono::milliseconds timeout_{0};
  std::mutex mutex_;
  std::condition_variable changed_;
  std::function<void()> on_lost_;
  std::shared_ptr<Stream> stream_;
  std::optional<ReflectionRequest> question_;
  std::deque<ReflectionResponse> answers_;
  std::optional<absl::Status> end_;
  bool watched_ = false;
  bool closed_ = false;
};

}  // namespace

std::shared_ptr<ReflectionReader> ReflectionReader::Open(std::shared_ptr<grpc::Channel> channel,
                                                         std::function<void()> on_lost) {
  return std::make_shared<Reader>(std::move(channel), std::move(on_lost));
}

}  // namespace penstock::gateway
