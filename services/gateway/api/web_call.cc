#include "services/gateway/api/web_call.h"

#include <string>
#include <utility>

#include "libs/webrpc/envelope.h"

namespace penstock::gateway {
namespace {

// Messages that wait are sent together up to so many bytes.
constexpr std::size_t kChunkBytes = 64 * 1024;

// On the call's loop only.
class WebCall final : public WebUpstreamEvents, public std::enable_shared_from_this<WebCall> {
 public:
  explicit WebCall(WebCallOrder order)
      : call_(std::move(order.call)), form_(order.form), types_(std::move(order.types)) {}

  void Start(const WebCallOrder& order, UpstreamRequest request) {
    const auto timeout = request.timeout;
    if (order.target != nullptr) {
      upstream_ = StartTargetCall(*order.target, std::move(request), shared_from_this());
    } else {
      auto started = StartServiceCall(call_->env().loops, call_->loop(), order.service,
                                      std::move(request), shared_from_this());
      if (!started.ok()) return Conclude(OutcomeOf(started.status()));
      upstream_ = *std::move(started);
    }
    if (timeout) {
      deadline_ = call_->env().loops.RunAfter(call_->loop(), *timeout, [weak = weak_from_this()] {
        const auto self = weak.lock();
        if (self != nullptr) self->Conclude(Deadline());
      });
    }
    SubscribeTo(call_->cancellation(),
                {absl::StatusCode::kCancelled, "the client went away, or the gateway stops", ""},
                cancel_id_);
    if (!form_.is_bare()) {
      SubscribeTo(call_->env().tracker.draining(),
                  {absl::StatusCode::kUnavailable, "the gateway stops", ""}, draining_id_);
    }
  }

  void OnHead(webrpc::MetadataText head) override {
    head_ = std::move(head);
    // A stream that has nothing to say yet has begun.
    if (!form_.is_bare()) StartStream();
  }

  void OnReadable() override { Pump(); }

  void OnEnd(webrpc::Outcome outcome, webrpc::MetadataText trailers) override {
    outcome_ = std::move(outcome);
    trailers_ = std::move(trailers);
    Pump();
  }

 private:
  static webrpc::Outcome Deadline() {
    return {absl::StatusCode::kDeadlineExceeded, "Deadline Exceeded", ""};
  }

  // The callbacks run on other threads too.
  void SubscribeTo(const std::shared_ptr<rpc::Cancellation>& flag, webrpc::Outcome outcome,
                   std::uint64_t& id) {
    id = flag->Subscribe([weak = weak_from_this(), outcome = std::move(outcome)] {
      const auto self = weak.lock();
      if (self != nullptr) self->call_->Post([self, outcome] { self->Conclude(outcome); });
    });
  }

  // Ends the call from this side; what the server has said and was not sent yet is dropped.
  void Conclude(webrpc::Outcome outcome) {
    if (is_over_) return;
    GiveUp(std::move(outcome));
    Pump();
  }

  void GiveUp(webrpc::Outcome outcome) {
    if (const auto upstream = std::exchange(upstream_, nullptr)) upstream->Cancel();
    outcome_ = std::move(outcome);
  }

  // Moves what has come. Asking for a message may bring the end.
  void Pump() {
    if (is_over_ || is_writing_ || std::exchange(is_pumping_, true)) return;
    std::string out;
    while (upstream_ != nullptr && out.size() < kChunkBytes) {
      auto message = upstream_->Next();
      if (!message) break;
      form_.is_bare() ? Keep(*std::move(message)) : Append(*std::move(message), &out);
    }
    is_pumping_ = false;
    if (!out.empty()) return Write(std::move(out));
    if (!outcome_) return;
    CheckMessages();
    form_.is_bare() ? EndBare() : EndStream();
  }

  void Keep(std::string message) {
    if (!message_) {
      message_ = std::move(message);
      return;
    }
    GiveUp({absl::StatusCode::kUnimplemented,
            "the method answers with a stream: its content type is application/connect+proto or "
            "application/connect+json",
            ""});
  }

  void Append(std::string message, std::string* out) {
    const auto written = WriteAnswer(form_.codec, types_, std::move(message));
    if (!written.ok()) return GiveUp(OutcomeOf(written.status()));
    webrpc::AppendEnvelope(0, *written, out);
  }

  void CheckMessages() {
    if (upstream_ == nullptr || outcome_->code != absl::StatusCode::kOk) return;
    const absl::Status checked = upstream_->Check();
    if (!checked.ok()) outcome_ = OutcomeOf(checked);
  }

  void EndBare() {
    CheckMessages();
    if (outcome_->code == absl::StatusCode::kOk && !message_) {
      outcome_ = {absl::StatusCode::kUnimplemented, "the server answered without a message", ""};
    }
    std::string body;
    if (outcome_->code == absl::StatusCode::kOk) {
      auto written = WriteAnswer(form_.codec, types_, *std::move(message_));
      if (written.ok()) body = *std::move(written);
      if (!written.ok()) outcome_ = OutcomeOf(written.status());
    }
    Finish();
    if (outcome_->code == absl::StatusCode::kOk) {
      call_->Respond(BareResponse(form_, std::move(body), head_, trailers_));
    } else {
      call_->Respond(ErrorResponseOf(form_, *outcome_, head_, trailers_));
    }
  }

  void StartStream() {
    if (std::exchange(has_begun_, true)) return;
    call_->StartStream(200, StreamHeaders(form_, head_));
  }

  void Write(std::string bytes) {
    StartStream();
    is_writing_ = true;
    call_->exchange().Write(Encoded(form_, std::move(bytes)),
                            [self = shared_from_this()](const absl::Status& status) {
                              self->is_writing_ = false;
                              if (status.ok()) return self->Pump();
                              self->Conclude(OutcomeOf(status));
                            });
  }

  void EndStream() {
    Finish();
    if (!has_begun_) {
      return call_->Respond(ErrorResponseOf(form_, *outcome_, head_, trailers_));
    }
    call_->exchange().Write(Encoded(form_, StreamEnd(form_, *outcome_, trailers_)), {});
    call_->exchange().End();
  }

  void Finish() {
    is_over_ = true;
    if (deadline_ != nullptr) deadline_->Cancel();
    call_->cancellation()->Unsubscribe(cancel_id_);
    if (draining_id_ != 0) call_->env().tracker.draining()->Unsubscribe(draining_id_);
    upstream_ = nullptr;
  }

  const std::shared_ptr<HttpCall> call_;
  const WebForm form_;
  const MethodTypes types_;
  std::shared_ptr<WebUpstreamCall> upstream_;
  std::shared_ptr<http::Cancelable> deadline_;
  std::uint64_t cancel_id_ = 0;
  std::uint64_t draining_id_ = 0;
  webrpc::MetadataText head_;
  // Of a bare answer.
  std::optional<std::string> message_;
  // There once the call has ended.
  std::optional<webrpc::Outcome> outcome_;
  webrpc::MetadataText trailers_;
  bool has_begun_ = false;
  bool is_pumping_ = false;
  bool is_writing_ = false;
  bool is_over_ = false;
};

}  // namespace

void StartWebCall(WebCallOrder order) {
  UpstreamRequest request = std::move(order.request);
  const auto call = std::make_shared<WebCall>(order);
  call->Start(order, std::move(request));
}

}  // namespace penstock::gateway
