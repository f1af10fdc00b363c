#include "services/gateway/api/web_upstream.h"

#include <fmt/format.h>
#include <google/protobuf/empty.pb.h>

#include <charconv>
#include <deque>
#include <utility>

#include "libs/base/status.h"
#include "libs/h2/grpc_wire.h"
#include "libs/rpc/channel.h"
#include "libs/rpc/generic_call.h"
#include "libs/rpc/status.h"
#include "libs/webrpc/gzip.h"
#include "services/gateway/api/web_metadata.h"

namespace penstock::gateway {
namespace {

using google::protobuf::Empty;
using google::protobuf::Message;

// What an answer without a gRPC status means (gRPC's http-grpc-status-mapping.md).
absl::StatusCode CodeOfAnswer(std::string_view http_status) {
  int status = 0;
  std::from_chars(http_status.data(), http_status.data() + http_status.size(), status);
  switch (status) {
    case 400: return absl::StatusCode::kInternal;
    case 401: return absl::StatusCode::kUnauthenticated;
    case 403: return absl::StatusCode::kPermissionDenied;
    case 404: return absl::StatusCode::kUnimplemented;
    case 429:
    case 502:
    case 503:
    case 504: return absl::StatusCode::kUnavailable;
    default: return absl::StatusCode::kUnknown;
  }
}

// Over HTTP/2. The stream keeps it alive as its handler.
class TargetCall final : public WebUpstreamCall,
                         public h2::StreamHandler,
                         public std::enable_shared_from_this<TargetCall> {
 public:
  TargetCall(const GrpcTarget& target, std::shared_ptr<WebUpstreamEvents> events)
      : target_(target), events_(std::move(events)) {}

  void Start(const UpstreamRequest& request) {
    self_ = shared_from_this();
    h2::Fields head;
    head.Add(":method", "POST");
    head.Add(":scheme", target_.scheme);
    head.Add(":path", "/" + request.method);
    head.Add(":authority", target_.authority);
    head.Add("te", "trailers");
    head.Add("content-type", "application/grpc+proto");
    if (request.timeout) head.Add("grpc-timeout", h2::FormatGrpcTimeout(*request.timeout));
    for (const auto& [key, value] : request.metadata) head.Add(key, EncodedValue(key, value));
    stream_ = &target_.client->Open(std::move(head), false, this);
    std::string framed;
    h2::AppendGrpcMessage(framed, request.message);
    stream_->Write(h2::Chunk::Copy(framed));
    stream_->End();
  }

  std::optional<std::string> Next() override {
    auto message = reader_.Next();
    if (message && !message->is_compressed) return std::move(message->bytes);
    if (message) return Decompressed(message->bytes);
    if (!reader_.error().ok()) {
      Break(reader_.error());
    } else if (stream_ != nullptr) {
      // Everything that came was taken: more may come.
      stream_->Consume(stream_->unconsumed());
    }
    return std::nullopt;
  }

  absl::Status Check() const override {
    if (!broken_.ok() || reader_.is_between_messages()) return broken_;
    return absl::InternalError(target_.label + " ended its answer inside a message");
  }

  void Cancel() override {
    has_ended_ = true;
    events_ = nullptr;
    if (stream_ == nullptr) return;
    std::exchange(stream_, nullptr)->Reset(h2::ErrorCode::kCancel);
    self_.reset();
  }

  void OnHead(h2::Fields head, bool end) override {
    if (end || head.Has("grpc-status")) return Finish(head);
    if (head.Get(":status") != "200") {
      const std::string_view status = head.Get(":status");
      return Break(absl::Status(CodeOfAnswer(status),
                                fmt::format("{} answered with HTTP {}", target_.label, status)));
    }
    if (!head.Get("content-type").starts_with("application/grpc")) {
      return Break(absl::UnknownError(target_.label + " did not answer with gRPC"));
    }
    encoding_ = head.Get("grpc-encoding");
    const auto self = shared_from_this();
    if (const auto events = events_) events->OnHead(AnswerMetadata(head));
  }
  void OnData(h2::Chunk data) override {
    const auto self = shared_from_this();
    reader_.Append(data.view());
    if (const auto events = events_) events->OnReadable();
  }
  void OnEnd(h2::Fields trailers) override { Finish(trailers); }
  void OnSent(std::size_t) override {}
  void OnClosed(h2::ErrorCode code) override {
    stream_ = nullptr;
    const auto self = std::exchange(self_, nullptr);
    // Whoever asked is gone after the end, and the target with it when the settings changed.
    if (has_ended_) return;
    End(OutcomeOf(code == h2::ErrorCode::kConnectionLost
                      ? target_.Away()
                      : absl::Status(h2::GrpcCodeOf(code), target_.label + " ended the call")),
        {});
  }

 private:
  void Finish(const h2::Fields& trailers) {
    if (has_ended_) return;
    const auto status = h2::GrpcStatusOf(trailers);
    if (!status) {
      const std::string_view http = trailers.Get(":status");
      return End(OutcomeOf(absl::Status(CodeOfAnswer(http),
                                        target_.label + " ended the call without a status")),
                 {});
    }
    End({status->code, status->message, status->details}, AnswerMetadata(trailers));
  }

  // Nothing was said of compression, so that a server may do it its way.
  std::optional<std::string> Decompressed(std::string_view bytes) {
    absl::StatusOr<std::string> message =
        absl::InternalError(fmt::format("{} compresses with {}", target_.label, encoding_));
    if (encoding_ == "gzip") message = webrpc::Gunzip(bytes, rpc::kMessageBytesMax);
    if (message.ok()) return *std::move(message);
    Break(message.status());
    return std::nullopt;
  }

  // The server did what it must not do.
  void Break(const absl::Status& why) {
    const auto self = shared_from_this();
    broken_ = why;
    if (stream_ != nullptr) {
      std::exchange(stream_, nullptr)->Reset(h2::ErrorCode::kCancel);
      self_.reset();
    }
    End(OutcomeOf(why), {});
  }

  void End(webrpc::Outcome outcome, webrpc::MetadataText trailers) {
    if (std::exchange(has_ended_, true)) return;
    if (const auto events = std::exchange(events_, nullptr)) {
      events->OnEnd(std::move(outcome), std::move(trailers));
    }
  }

  const GrpcTarget& target_;
  std::shared_ptr<WebUpstreamEvents> events_;
  h2::GrpcReader reader_{rpc::kMessageBytesMax};
  // Null when it is over.
  h2::Stream* stream_ = nullptr;
  std::shared_ptr<TargetCall> self_;
  absl::Status broken_;
  // How compressed messages are.
  std::string encoding_;
  bool has_ended_ = false;
};

// Over a channel. Messages pass as what a message without fields does not know of itself, so that
// no type is needed.
class ServiceCall final : public WebUpstreamCall, public std::enable_shared_from_this<ServiceCall> {
 public:
  ServiceCall(http::EventLoops& loops, int loop, const UserMethod& service,
              std::shared_ptr<WebUpstreamEvents> events)
      : loops_(loops), loop_(loop), service_(service), events_(std::move(events)) {}

  absl::Status Start(const UpstreamRequest& request) {
    auto channel = service_.upstream->Pick();
    if (!channel.ok()) return service_.upstream->Named(channel.status());
    Empty message;
    if (!message.ParseFromString(request.message)) {
      return absl::InvalidArgumentError("the request is no protobuf message");
    }
    rpc::CallOptions options;
    options.metadata = request.metadata;
    // gRPC's library has its own.
    std::erase_if(options.metadata, [](const auto& pair) { return pair.first == "user-agent"; });
    if (request.timeout) {
      options.timeout = std::chrono::ceil<std::chrono::milliseconds>(*request.timeout);
    }
    const auto self = shared_from_this();
    rpc::GenericStreamHandlers handlers;
    handlers.on_head = [self](const rpc::ResponseMetadata& metadata) {
      self->Post([self, head = AnswerMetadata(metadata.AllInitial())]() mutable {
        if (const auto events = self->events_) events->OnHead(std::move(head));
      });
    };
    handlers.on_message = [self](Message& received) {
      self->Post([self, bytes = received.SerializeAsString()]() mutable {
        self->messages_.push_back(std::move(bytes));
        if (const auto events = self->events_) events->OnReadable();
      });
    };
    handlers.on_done = [self](const absl::Status& status, const rpc::ResponseMetadata& metadata) {
      self->Post([self, outcome = OutcomeOf(self->service_.upstream->Named(status)),
                  trailers = AnswerMetadata(metadata.AllTrailing())]() mutable {
        if (const auto events = std::exchange(self->events_, nullptr)) {
          events->OnEnd(std::move(outcome), std::move(trailers));
        }
      });
    };
    stream_ = rpc::GenericStream::Start(*channel, "/" + request.method, message,
                                        std::make_unique<Empty>(), options, std::move(handlers));
    stream_->Request(1);
    return absl::OkStatus();
  }

  std::optional<std::string> Next() override {
    if (messages_.empty()) return std::nullopt;
    std::string message = std::move(messages_.front());
    messages_.pop_front();
    stream_->Request(1);
    return message;
  }

  absl::Status Check() const override { return absl::OkStatus(); }

  void Cancel() override {
    events_ = nullptr;
    if (stream_ != nullptr) stream_->Cancel();
  }

 private:
  void Post(http::EventLoops::Task task) { loops_.Post(loop_, std::move(task)); }

  http::EventLoops& loops_;
  const int loop_;
  const UserMethod service_;
  std::shared_ptr<WebUpstreamEvents> events_;
  std::shared_ptr<rpc::GenericStream> stream_;
  std::deque<std::string> messages_;
};

}  // namespace

std::shared_ptr<WebUpstreamCall> StartTargetCall(const GrpcTarget& target, UpstreamRequest request,
                                                 std::shared_ptr<WebUpstreamEvents> events) {
  const auto call = std::make_shared<TargetCall>(target, std::move(events));
  call->Start(request);
  return call;
}

absl::StatusOr<std::shared_ptr<WebUpstreamCall>> StartServiceCall(
    http::EventLoops& loops, int loop, const UserMethod& service, UpstreamRequest request,
    std::shared_ptr<WebUpstreamEvents> events) {
  const auto call = std::make_shared<ServiceCall>(loops, loop, service, std::move(events));
  RETURN_IF_ERROR(call->Start(request));
  return std::shared_ptr<WebUpstreamCall>(call);
}

webrpc::Outcome OutcomeOf(const absl::Status& status) {
  const grpc::Status wire = rpc::ToGrpcStatus(status);
  return {status.code(), wire.error_message(), wire.error_details()};
}

}  // namespace penstock::gateway
