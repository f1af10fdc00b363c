#include "services/gateway/api/stream_answer.h"

#include <fmt/format.h>

#include <atomic>
#include <chrono>
#include <optional>
#include <string>
#include <utility>

#include "libs/base/status.h"
#include "libs/protojson/status_json.h"
#include "libs/rpc/generic_call.h"
#include "libs/transcode/transcoder.h"

namespace penstock::gateway {
namespace {

// An error that comes sooner is answered as one; a stream that has nothing to say for so long has
// begun.
constexpr std::chrono::milliseconds kHeadDelay{200};

// Comments keep proxies from closing a stream that is quiet, and notice clients that are gone.
constexpr std::chrono::seconds kHeartbeat{15};

class StreamAnswer : public std::enable_shared_from_this<StreamAnswer> {
 public:
  explicit StreamAnswer(TranscodedCall order)
      : order_(std::move(order)),
        raw_(order_.route->response_is_raw),
        sse_(!raw_ && order_.call->request.headers.Get("Accept").find("text/event-stream") !=
                          std::string_view::npos) {}

  void Start() {
    const auto self = shared_from_this();
    rpc::GenericStreamHandlers handlers;
    handlers.on_head = [self](const rpc::ResponseMetadata& metadata) {
      http::Headers headers;
      AddHeadMetadata(metadata, *self->order_.header_rules, &headers);
      self->order_.call->Post(
          [self, headers = std::move(headers)]() mutable { self->head_ = std::move(headers); });
    };
    handlers.on_message = [self](google::protobuf::Message& message) { self->OnMessage(message); };
    handlers.on_done = [self](const absl::Status& status, const rpc::ResponseMetadata&) {
      self->order_.call->Post([self, status] { self->OnEnd(status); });
    };
    stream_ = rpc::GenericStream::Start(
        order_.channel, order_.route->full_method,
        [self, next = std::size_t{0}]() mutable {
          auto& requests = self->order_.requests;
          return next < requests.size() ? std::move(requests[next++]) : nullptr;
        },
        std::unique_ptr<google::protobuf::Message>(order_.route->response_prototype->New()),
        order_.options, std::move(handlers));
    draining_id_ = Draining()->Subscribe([weak = weak_from_this()] {
      if (const auto answer = weak.lock()) answer->stream_->Cancel();
    });
    stream_->Request(1);
    if (raw_) return;  // the first message says the content type
    timer_ = order_.call->env().loops.RunAfter(order_.call->loop(), kHeadDelay,
                                               [self] { self->StartHead({}); });
  }

 private:
  // On a gRPC thread; one at a time, as the next is asked for when this one was written.
  void OnMessage(const google::protobuf::Message& message) {
    auto body = transcode::BuildResponse(*order_.route, message);
    if (!body.ok()) return Break(absl::InternalError(body.status().message()));
    std::string chunk = raw_ ? std::move(body->data) : Framed(body->data, "");
    order_.call->Post([self = shared_from_this(), chunk = std::move(chunk),
                       type = std::move(body->content_type)]() mutable {
      self->StartHead(type);
      self->Write(std::move(chunk));
    });
  }

  // A message that has no JSON ends the stream, with its own reason in place of the call's.
  void Break(const absl::Status& why) {
    order_.call->Post([self = shared_from_this(), why] { self->broken_ = why; });
    stream_->Cancel();
  }

  void Write(std::string chunk) {
    is_writing_ = true;
    order_.call->exchange().Write(
        std::move(chunk),
        [self = shared_from_this()](const absl::Status& status) { self->OnWritten(status); });
  }

  void OnWritten(const absl::Status& status) {
    is_writing_ = false;
    if (end_) return Conclude(*end_);
    if (!status.ok()) return stream_->Cancel();
    stream_->Request(1);
  }

  std::string Framed(std::string_view json, std::string_view event) const {
    if (!sse_) return fmt::format("{}\n", json);
    if (event.empty()) return fmt::format("data: {}\n\n", json);
    return fmt::format("event: {}\ndata: {}\n\n", event, json);
  }

  void StartHead(const std::string& raw_type) {
    if (ended_ || std::exchange(started_, true)) return;
    if (timer_ != nullptr) timer_->Cancel();
    http::Headers headers = std::move(head_);
    headers.Set("Content-Type", raw_   ? raw_type
                                : sse_ ? "text/event-stream"
                                       : "application/x-ndjson");
    headers.Set("Cache-Control", "no-store");
    order_.call->StartStream(200, std::move(headers));
    if (sse_) Beat();
  }

  void Beat() {
    timer_ = order_.call->env().loops.RunAfter(
        order_.call->loop(), kHeartbeat, [self = shared_from_this()] {
          if (self->ended_) return;
          self->Beat();
          // While a message is on its way nobody doubts that the stream lives.
          if (self->is_writing_) return;
          self->order_.call->exchange().Write(": \n\n", [self](const absl::Status& status) {
            if (!status.ok()) self->stream_->Cancel();
          });
        });
  }

  void OnEnd(const absl::Status& status) {
    Draining()->Unsubscribe(draining_id_);
    // What is being written may leave no room for the reason of the end.
    if (is_writing_) {
      end_ = status;
    } else {
      Conclude(status);
    }
  }

  void Conclude(const absl::Status& status) {
    if (timer_ != nullptr) timer_->Cancel();
    const absl::Status named = broken_.ok() ? order_.named(status) : broken_;
    if (!started_) {
      if (!named.ok()) {
        ended_ = true;
        return order_.call->Fail(named);
      }
      StartHead("application/octet-stream");
    } else if (!named.ok()) {
      ended_ = true;
      if (raw_) return;  // dropped before its end: the client sees that bytes are missing
      const std::string error = fmt::format("{{\"error\":{}}}", protojson::StatusToJson(named));
      order_.call->exchange().Write(Framed(error, "error"), {});
    }
    ended_ = true;
    if (timer_ != nullptr) timer_->Cancel();
    order_.call->exchange().End();
  }

  const std::shared_ptr<rpc::Cancellation>& Draining() const {
    return order_.call->env().tracker.draining();
  }

  TranscodedCall order_;
  const bool raw_;
  const bool sse_;
  std::shared_ptr<rpc::GenericStream> stream_;
  // Of the call's loop.
  http::Headers head_;
  absl::Status broken_;
  // The call's, while a message is being written.
  std::optional<absl::Status> end_;
  bool is_writing_ = false;
  bool started_ = false;
  bool ended_ = false;
  std::shared_ptr<http::Cancelable> timer_;
  std::uint64_t draining_id_ = 0;
};

}  // namespace

void AnswerWithStream(TranscodedCall order) {
  std::make_shared<StreamAnswer>(std::move(order))->Start();
}

}  // namespace penstock::gateway
