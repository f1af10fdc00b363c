#include "services/gateway/api/grpc_local.h"

#include <google/protobuf/descriptor.h>
#include <google/protobuf/descriptor.pb.h>
#include <google/protobuf/descriptor_database.h>
#include <grpc/health/v1/health.pb.h>
#include <grpc/reflection/v1/reflection.pb.h>

#include <algorithm>
#include <set>
#include <utility>

#include "libs/base/status.h"
#include "libs/h2/grpc_wire.h"
#include "services/gateway/api/backends.h"
#include "services/gateway/api/grpc_answer.h"

namespace penstock::gateway {
namespace {

namespace pb = google::protobuf;
namespace health = grpc::health::v1;
namespace reflection = grpc::reflection::v1;

constexpr std::string_view kHealthCheck = "grpc.health.v1.Health/Check";
constexpr std::string_view kHealthWatch = "grpc.health.v1.Health/Watch";
constexpr char kHealthService[] = "grpc.health.v1.Health";
constexpr const char* kReflectionServices[] = {"grpc.reflection.v1.ServerReflection",
                                               "grpc.reflection.v1alpha.ServerReflection"};
constexpr std::string_view kReflectionMethod = "/ServerReflectionInfo";
// Of requests to us; a name is all that they hold.
constexpr std::size_t kMessageBytesMax = 64 * 1024;
// A client that asks without reading the answers waits.
constexpr std::size_t kQueuedMax = 1024 * 1024;

// The public services that are compiled in, and what this file answers.
std::vector<std::string> PublicServices(const GrpcRoutes& routes) {
  std::vector<std::string> files;
  pb::DescriptorPool::internal_generated_database()->FindAllFileNames(&files);
  std::set<std::string> names;
  for (const std::string& file : files) {
    if (!file.starts_with("penstock/")) continue;
    const pb::FileDescriptor* found = pb::DescriptorPool::generated_pool()->FindFileByName(file);
    for (int i = 0; found != nullptr && i < found->service_count(); ++i) {
      const std::string& name = found->service(i)->full_name();
      if (OwnerOf(name) && routes.Allows(name + "/")) names.insert(name);
    }
  }
  names.insert(kHealthService);
  names.insert(std::begin(kReflectionServices), std::end(kReflectionServices));
  return {names.begin(), names.end()};
}

void WriteMessage(h2::Stream& stream, const pb::Message& message) {
  std::string bytes;
  h2::AppendGrpcMessage(bytes, message.SerializeAsString());
  stream.Write(h2::Chunk::Copy(bytes));
}

// Adds a file and what it imports, each once.
void AddFile(const pb::FileDescriptor& file, std::set<const pb::FileDescriptor*>& seen,
             reflection::FileDescriptorResponse& response) {
  if (!seen.insert(&file).second) return;
  pb::FileDescriptorProto proto;
  file.CopyTo(&proto);
  response.add_file_descriptor_proto(proto.SerializeAsString());
  for (int i = 0; i < file.dependency_count(); ++i) AddFile(*file.dependency(i), seen, response);
}

void SetError(absl::StatusCode code, const std::string& message,
              reflection::ServerReflectionResponse& response) {
  response.mutable_error_response()->set_error_code(static_cast<int>(code));
  response.mutable_error_response()->set_error_message(message);
}

void SetFile(const pb::FileDescriptor* file, const std::string& asked,
             reflection::ServerReflectionResponse& response) {
  if (file == nullptr) {
    return SetError(absl::StatusCode::kNotFound, "\"" + asked + "\" is not known", response);
  }
  std::set<const pb::FileDescriptor*> seen;
  AddFile(*file, seen, *response.mutable_file_descriptor_response());
}

void SetExtensions(const std::string& type, reflection::ServerReflectionResponse& response) {
  const pb::DescriptorPool& pool = *pb::DescriptorPool::generated_pool();
  const pb::Descriptor* message = pool.FindMessageTypeByName(type);
  if (message == nullptr) {
    return SetError(absl::StatusCode::kNotFound, "\"" + type + "\" is not known", response);
  }
  auto& numbers = *response.mutable_all_extension_numbers_response();
  numbers.set_base_type_name(type);
  std::vector<const pb::FieldDescriptor*> extensions;
  pool.FindAllExtensions(message, &extensions);
  for (const pb::FieldDescriptor* extension : extensions) {
    numbers.add_extension_number(extension->number());
  }
}

reflection::ServerReflectionResponse Reflect(const reflection::ServerReflectionRequest& request,
                                             const std::vector<std::string>& services) {
  using Request = reflection::ServerReflectionRequest;
  const pb::DescriptorPool& pool = *pb::DescriptorPool::generated_pool();
  reflection::ServerReflectionResponse response;
  response.set_valid_host(request.host());
  *response.mutable_original_request() = request;
  switch (request.message_request_case()) {
    case Request::kListServices:
      for (const std::string& name : services) {
        response.mutable_list_services_response()->add_service()->set_name(name);
      }
      break;
    case Request::kFileByFilename:
      SetFile(pool.FindFileByName(request.file_by_filename()), request.file_by_filename(),
              response);
      break;
    case Request::kFileContainingSymbol: {
      const std::string& symbol = request.file_containing_symbol();
      SetFile(pool.FindFileContainingSymbol(symbol), symbol, response);
      break;
    }
    case Request::kFileContainingExtension: {
      const auto& extension = request.file_containing_extension();
      const pb::Descriptor* type = pool.FindMessageTypeByName(extension.containing_type());
      const pb::FieldDescriptor* field =
          type == nullptr ? nullptr
                          : pool.FindExtensionByNumber(type, extension.extension_number());
      SetFile(field == nullptr ? nullptr : field->file(), extension.containing_type(), response);
      break;
    }
    case Request::kAllExtensionNumbersOfType:
      SetExtensions(request.all_extension_numbers_of_type(), response);
      break;
    case Request::MESSAGE_REQUEST_NOT_SET:
      SetError(absl::StatusCode::kInvalidArgument, "the request asks for nothing", response);
  }
  return response;
}

}  // namespace

// A Check or Watch. It is one message: as soon as that is complete, the call is answered here or
// goes on to the service that it names.
class GrpcLocal::HealthCall final : public h2::StreamHandler {
 public:
  HealthCall(GrpcLocal& local, h2::Stream& stream, h2::Fields head, bool is_watch)
      : local_(local), stream_(stream), head_(std::move(head)), is_watch_(is_watch) {}

  void OnHead(h2::Fields, bool) override {}
  void OnData(h2::Chunk data) override {
    if (is_answered_) return stream_.Consume(data.size());
    received_.append(data.view());
    reader_.Append(data.view());
    Answer(false);
  }
  void OnEnd(h2::Fields) override {
    if (!is_answered_) Answer(true);
  }
  void OnSent(std::size_t) override {}
  void OnClosed(h2::ErrorCode) override {
    if (is_watching_) std::erase(local_.watchers_[stream_loop_], this);
    delete this;
  }

  // Ends a stream of Watch.
  void SayNotServing() {
    Say(health::HealthCheckResponse::NOT_SERVING);
    stream_.End(GrpcTrailers(absl::UnavailableError("the gateway stops")));
  }

 private:
  void Answer(bool end) {
    const auto message = reader_.Next();
    if (!message) {
      if (!end && reader_.error().ok()) return;
      is_answered_ = true;
      return AnswerGrpcStatus(stream_, reader_.error().ok()
                                           ? absl::InvalidArgumentError("the request is incomplete")
                                           : reader_.error());
    }
    is_answered_ = true;
    health::HealthCheckRequest request;
    if (message->is_compressed || !request.ParseFromString(message->bytes)) {
      return AnswerGrpcStatus(stream_, absl::InvalidArgumentError("expected a HealthCheckRequest"));
    }
    if (request.service().empty() || request.service() == kHealthService) return AnswerForGateway();
    const GrpcTarget* const target =
        local_.rules_.Get(stream_.loop())
            ->targets.Find(request.service() + "/", head_.Get(":authority"));
    if (target == nullptr) return AnswerUnknown();
    // The new handler takes over the stream, with the bytes that were not consumed.
    local_.pass_on_(stream_, *target, head_, received_, end);
    delete this;
  }

  void AnswerForGateway() {
    stream_.SendHead(GrpcAnswerHead(), false);
    const bool serves = !local_.is_draining_;
    Say(serves ? health::HealthCheckResponse::SERVING : health::HealthCheckResponse::NOT_SERVING);
    if (!is_watch_ || !serves) return stream_.End(GrpcTrailers(absl::OkStatus()));
    KeepWatching();
  }

  void AnswerUnknown() {
    if (!is_watch_) {
      return AnswerGrpcStatus(stream_, absl::NotFoundError("the service is not known"));
    }
    stream_.SendHead(GrpcAnswerHead(), false);
    Say(health::HealthCheckResponse::SERVICE_UNKNOWN);
    KeepWatching();
  }

  // Until the gateway drains.
  void KeepWatching() {
    is_watching_ = true;
    stream_loop_ = static_cast<std::size_t>(stream_.loop());
    local_.watchers_[stream_loop_].push_back(this);
  }

  void Say(health::HealthCheckResponse::ServingStatus status) {
    health::HealthCheckResponse response;
    response.set_status(status);
    WriteMessage(stream_, response);
  }

  GrpcLocal& local_;
  h2::Stream& stream_;
  const h2::Fields head_;
  const bool is_watch_;
  h2::GrpcReader reader_{kMessageBytesMax};
  std::string received_;
  bool is_answered_ = false;
  bool is_watching_ = false;
  std::size_t stream_loop_ = 0;
};

// An answer for each request.
class GrpcLocal::ReflectionCall final : public h2::StreamHandler {
 public:
  ReflectionCall(const GrpcLocal& local, h2::Stream& stream) : local_(local), stream_(stream) {
    stream_.SendHead(GrpcAnswerHead(), false);
  }

  void OnHead(h2::Fields, bool) override {}
  void OnData(h2::Chunk data) override {
    reader_.Append(data.view());
    Answer();
  }
  void OnEnd(h2::Fields) override {
    has_ended_ = true;
    Answer();
  }
  void OnSent(std::size_t) override { Answer(); }
  void OnClosed(h2::ErrorCode) override { delete this; }

 private:
  void Answer() {
    while (stream_.queued() < kQueuedMax) {
      const auto message = reader_.Next();
      if (!message) {
        if (!reader_.error().ok()) return stream_.End(GrpcTrailers(reader_.error()));
        // Everything that came was taken: more may come.
        stream_.Consume(stream_.unconsumed());
        if (has_ended_) stream_.End(GrpcTrailers(absl::OkStatus()));
        return;
      }
      reflection::ServerReflectionRequest request;
      if (message->is_compressed || !request.ParseFromString(message->bytes)) {
        return stream_.End(
            GrpcTrailers(absl::InvalidArgumentError("expected a ServerReflectionRequest")));
      }
      WriteMessage(stream_, Reflect(request, local_.rules_.Get(stream_.loop())->services));
    }
  }

  const GrpcLocal& local_;
  h2::Stream& stream_;
  h2::GrpcReader reader_{kMessageBytesMax};
  bool has_ended_ = false;
};

GrpcRules GrpcRules::Of(const GrpcTargets& targets, const Authenticator& authenticator) {
  return {targets, authenticator, PublicServices(targets.routes())};
}

GrpcLocal::GrpcLocal(http::EventLoops& loops, const http::PerLoop<GrpcRules>& rules, PassOn pass_on)
    : loops_(loops),
      rules_(rules),
      pass_on_(std::move(pass_on)),
      watchers_(static_cast<std::size_t>(loops.size())) {}

GrpcLocal::~GrpcLocal() = default;

bool GrpcLocal::Handle(std::string_view method, h2::Stream& stream, const h2::Fields& head,
                       bool end) {
  h2::StreamHandler* handler = nullptr;
  if (method == kHealthCheck || method == kHealthWatch) {
    handler = new HealthCall(*this, stream, head, method == kHealthWatch);
  }
  for (const std::string_view service : kReflectionServices) {
    if (method.starts_with(service) && method.substr(service.size()) == kReflectionMethod) {
      handler = new ReflectionCall(*this, stream);
    }
  }
  if (handler == nullptr) return false;
  stream.SetHandler(handler);
  if (end) handler->OnEnd({});
  return true;
}

void GrpcLocal::Drain() {
  is_draining_ = true;
  for (int i = 0; i < loops_.size(); ++i) {
    loops_.RunAndWait(i, [this, i] {
      for (HealthCall* call : watchers_[static_cast<std::size_t>(i)]) call->SayNotServing();
    });
  }
}

}  // namespace penstock::gateway
