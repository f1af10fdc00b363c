#include "services/gateway/api/transcoded_call.h"

#include <fmt/format.h>

#include <utility>

#include "libs/base/status.h"
#include "libs/cloudevents/event.h"
#include "libs/rpc/generic_call.h"
#include "libs/rpc/metadata.h"
#include "libs/transcode/transcoder.h"

namespace penstock::gateway {
namespace {

using google::protobuf::Message;

// Whether the media type is that of lines of JSON.
bool IsJsonLines(std::string_view content_type) {
  const std::string_view type = content_type.substr(0, content_type.find_first_of("; \t"));
  return type == "application/x-ndjson" || type == "application/jsonl" ||
         type == "application/x-jsonlines";
}

// A message that holds its type as long as it lives.
std::shared_ptr<Message> Held(std::unique_ptr<Message> message,
                              std::shared_ptr<const transcode::Route> route) {
  return {message.release(), [route = std::move(route)](Message* owned) { delete owned; }};
}

// One answer on its way to the request's loop.
class OneCall : public std::enable_shared_from_this<OneCall> {
 public:
  OneCall(TranscodedCall order, std::function<void(OneAnswer)> done)
      : order_(std::move(order)), done_(std::move(done)) {}

  void Start() {
    const auto& route = *order_.route;
    answer_.message = Held(std::unique_ptr<Message>(route.response_prototype->New()), order_.route);
    if (route.client_streaming) return StartStream();
    std::shared_ptr<Message> request = Held(std::move(order_.requests.at(0)), order_.route);
    if (order_.caller != nullptr) {
      return order_.caller->Call(
          route.full_method, std::move(request), answer_.message, order_.options,
          [self = shared_from_this()](const absl::Status& status,
                                      const rpc::ResponseMetadata& metadata) {
            self->TakeEnd(status, metadata);
            self->Finish();
          });
    }
    rpc::GenericCall(order_.channel, route.full_method, std::move(request), answer_.message,
                     order_.options,
                     [self = shared_from_this()](const absl::Status& status,
                                                 const rpc::ResponseMetadata& metadata) {
                       self->TakeEnd(status, metadata);
                       self->PostFinish();
                     });
  }

 private:
  void StartStream() {
    const auto self = shared_from_this();
    rpc::GenericStreamHandlers handlers;
    handlers.on_head = [self](const rpc::ResponseMetadata& metadata) {
      AddHeadMetadata(metadata, *self->order_.header_rules, &self->answer_.response.headers);
    };
    handlers.on_message = [self](Message& message) {
      self->answer_.message->GetReflection()->Swap(self->answer_.message.get(), &message);
    };
    handlers.on_done = [self](const absl::Status& status, const rpc::ResponseMetadata& metadata) {
      self->TakeTrailers(status, metadata);
      self->PostFinish();
    };
    const auto& route = *order_.route;
    const auto stream = rpc::GenericStream::Start(
        order_.channel, route.full_method,
        [self, next = std::size_t{0}]() mutable {
          auto& requests = self->order_.requests;
          return next < requests.size() ? std::move(requests[next++]) : nullptr;
        },
        std::unique_ptr<Message>(route.response_prototype->New()), order_.options,
        std::move(handlers));
    stream->Request(2);  // the answer, and the end
  }

  void TakeEnd(const absl::Status& status, const rpc::ResponseMetadata& metadata) {
    AddHeadMetadata(metadata, *order_.header_rules, &answer_.response.headers);
    TakeTrailers(status, metadata);
  }

  void TakeTrailers(const absl::Status& status, const rpc::ResponseMetadata& metadata) {
    AddTrailingMetadata(metadata, *order_.header_rules, &answer_.response.headers);
    answer_.revision = metadata.Trailing(rpc::kRevisionKey);
    answer_.status = order_.named(status);
  }

  void PostFinish() {
    order_.call->Post([self = shared_from_this()] { self->Finish(); });
  }

  void Finish() {
    if (answer_.status.ok()) {
      auto body = transcode::BuildResponse(*order_.route, *answer_.message);
      if (body.ok()) {
        answer_.response.body = std::move(body->data);
        answer_.response.headers.Set("Content-Type", body->content_type);
      } else {
        answer_.status = absl::InternalError(body.status().message());
      }
    }
    std::exchange(done_, nullptr)(std::move(answer_));
  }

  TranscodedCall order_;
  std::function<void(OneAnswer)> done_;
  OneAnswer answer_;
};

}  // namespace

absl::Status CheckContentType(const transcode::Route& route, const http::Request& request) {
  // What a form can send is refused, so that no page can call this.
  const std::string_view given = request.headers.Get("Content-Type");
  const bool is_json = !given.empty() && cloudevents::IsJsonContentType(given);
  if (route.body_is_raw || is_json) return absl::OkStatus();
  const bool reads = request.method == "GET" || request.method == "HEAD";
  if (request.body.empty() && (given.empty() || reads)) return absl::OkStatus();
  if (route.client_streaming && IsJsonLines(given)) return absl::OkStatus();
  return FieldError("Content-Type",
                    route.client_streaming
                        ? "expected application/x-ndjson, as this call takes lines of JSON"
                        : "expected application/json, as writes have JSON bodies");
}

absl::StatusOr<std::vector<std::unique_ptr<Message>>> RequestsOf(
    const transcode::MatchResult& match, const http::Request& request,
    std::string_view content_type) {
  const transcode::RequestBody body{.content_type = content_type, .data = request.body};
  if (match.route->client_streaming) {
    return transcode::BuildRequests(*match.route, match.bindings, request.query(), body);
  }
  std::vector<std::unique_ptr<Message>> requests;
  ASSIGN_OR_RETURN(requests.emplace_back(),
                   transcode::BuildRequest(*match.route, match.bindings, request.query(), body));
  return requests;
}

http::Response MethodNotAllowed(const http::Request& request,
                                const std::vector<std::string>& allowed) {
  const std::string list = fmt::format("{}", fmt::join(allowed, ", "));
  http::Response response =
      ErrorAnswer(405, absl::UnimplementedError(fmt::format("{} is not served here; expected {}",
                                                            request.method, list)));
  response.headers.Set("Allow", list);
  return response;
}

void CallForOne(TranscodedCall order, std::function<void(OneAnswer)> done) {
  std::make_shared<OneCall>(std::move(order), std::move(done))->Start();
}

}  // namespace penstock::gateway
