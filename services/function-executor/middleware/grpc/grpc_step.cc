#include "services/function-executor/middleware/grpc/grpc_step.h"

#include <fmt/format.h>

#include <algorithm>
#include <memory>
#include <string>
#include <utility>

#include "libs/base/status.h"
#include "libs/http/client.h"
#include "services/function-executor/middleware/grpc/process_call.h"

namespace penstock::executor {
namespace {

using runtime::v1::ProcessCallRequest;
using runtime::v1::ProcessCallResponse;

constexpr Microseconds kTimeoutDefault{5'000'000};
constexpr std::size_t kPayloadBytesMax = 1U << 20;

struct GrpcSettings {
  std::string target;
  Microseconds timeout{0};
  bool fail_open = false;
  bool asks_before = false;
  bool asks_after = false;
};

class GrpcStep final : public Middleware {
 public:
  GrpcStep(GrpcSettings settings, std::shared_ptr<ServiceClient> client, const Clock& clock)
      : settings_(std::move(settings)), client_(std::move(client)), clock_(clock) {}

  void Handle(const std::shared_ptr<Step>& step) const override {
    if (!settings_.asks_before) return GoOn(step);
    ProcessCallRequest request = Describe(step);
    request.mutable_payload()->set_data(*step->payload());
    request.mutable_payload()->set_content_type(step->content_type());
    Ask(step, std::move(request), [this, step](ServiceClient::Answer answer) {
      if (answer.ok()) return Heed(step, *std::move(answer));
      Outcome failure;
      if (Passes(step, answer.status(), &failure)) return GoOn(step);
      step->Finish(std::move(failure));
    });
  }

 private:
  using Done = ServiceClient::Done;

  ProcessCallRequest Describe(const std::shared_ptr<Step>& step) const {
    return DescribeCall(step->call(), step->deadline() - clock_.Monotonic());
  }

  void Ask(const std::shared_ptr<Step>& step, ProcessCallRequest request, Done done) const {
    const Microseconds left = step->deadline() - clock_.Monotonic();
    const Microseconds most = std::clamp(left, Microseconds(0), settings_.timeout);
    auto cancellation = std::make_shared<rpc::Cancellation>();
    step->OnCancel([cancellation] { cancellation->Cancel(); });
    // Rounded up, for zero would be no limit.
    const auto timeout =
        std::max(std::chrono::ceil<std::chrono::milliseconds>(most), std::chrono::milliseconds(1));
    client_->Ask(std::move(request), timeout, cancellation,
                 [cancellation, done = std::move(done)](ServiceClient::Answer answer) {
                   // A service that cancels has failed; only the caller ends the call.
                   if (cancellation->cancelled()) {
                     answer = absl::CancelledError();
                   } else if (absl::IsCancelled(answer.status())) {
                     answer = absl::UnavailableError("it cancelled the question");
                   }
                   if (answer.ok() && answer->payload().data().size() > kPayloadBytesMax) {
                     answer = absl::ResourceExhaustedError("it gave a payload above 1 MiB");
                   }
                   done(std::move(answer));
                 });
  }

  // What came back before the function.
  void Heed(const std::shared_ptr<Step>& step, ProcessCallResponse answer) const {
    if (answer.has_error()) return step->Finish(FailedOutcome(ErrorFromProto(answer.error())));
    if (!answer.has_payload() && !answer.answer()) return GoOn(step);
    google::api::HttpBody& body = *answer.mutable_payload();
    auto payload = std::make_shared<const std::string>(std::move(*body.mutable_data()));
    std::string type = body.content_type().empty() ? step->content_type()
                                                   : std::move(*body.mutable_content_type());
    if (!answer.answer()) {
      step->SetInput(std::move(payload), std::move(type));
      return GoOn(step);
    }
    Outcome outcome;
    outcome.payload = std::move(payload);
    outcome.content_type = std::move(type);
    step->Finish(std::move(outcome));
  }

  void GoOn(const std::shared_ptr<Step>& step) const {
    if (!settings_.asks_after) return step->Next();
    step->Next([this, step](Outcome outcome) { HandleAnswer(step, std::move(outcome)); });
  }

  void HandleAnswer(const std::shared_ptr<Step>& step, Outcome outcome) const {
    // No time is left to ask, or the function was not reached: there is nothing to change.
    if (outcome.timed_out || outcome.refusal != absl::StatusCode::kOk ||
        step->deadline() <= clock_.Monotonic()) {
      step->SetEffect("skipped");
      return step->Finish(std::move(outcome));
    }
    ProcessCallRequest request = Describe(step);
    request.set_after(true);
    request.mutable_payload()->set_data(*outcome.payload);
    request.mutable_payload()->set_content_type(outcome.content_type);
    if (outcome.error) *request.mutable_error() = ErrorToProto(*outcome.error);
    auto kept = std::make_shared<Outcome>(std::move(outcome));
    Ask(step, std::move(request), [this, step, kept](ServiceClient::Answer answer) {
      if (answer.ok()) {
        Change(*std::move(answer), kept.get());
        return step->Finish(std::move(*kept));
      }
      Outcome failure;
      if (Passes(step, answer.status(), &failure)) return step->Finish(std::move(*kept));
      failure.logs = std::move(kept->logs);
      step->Finish(std::move(failure));
    });
  }

  // Makes of an outcome what the service wants.
  static void Change(ProcessCallResponse answer, Outcome* outcome) {
    if (answer.has_error()) {
      Outcome failed = FailedOutcome(ErrorFromProto(answer.error()));
      failed.logs = std::move(outcome->logs);
      *outcome = std::move(failed);
      return;
    }
    if (!answer.has_payload()) return;
    google::api::HttpBody& body = *answer.mutable_payload();
    outcome->payload = std::make_shared<const std::string>(std::move(*body.mutable_data()));
    if (!body.content_type().empty()) {
      outcome->content_type = std::move(*body.mutable_content_type());
    }
    if (!outcome->error) return;
    outcome->error.reset();
    outcome->http_status = 0;
    outcome->retry_after.reset();
  }

  // True when the call goes on without an answer of the service; else how it ends.
  bool Passes(const std::shared_ptr<Step>& step, const absl::Status& status,
              Outcome* failure) const {
    if (absl::IsCancelled(status)) {
      *failure = CancelledOutcome();
      return false;
    }
    if (step->deadline() <= clock_.Monotonic()) {
      *failure = TimedOut("grpc");
      return false;
    }
    if (settings_.fail_open) {
      step->SetEffect("failed open");
      return true;
    }
    const bool is_denied = ReasonOf(status) == http::kEgressDenied;
    const bool is_late = absl::IsDeadlineExceeded(status);
    step->SetEffect(is_late ? "timed out" : "failed");
    *failure = FailedOutcome(
        {ErrorCategory::kSystem,
         is_denied ? "EgressDenied" : (is_late ? "MiddlewareTimeout" : "MiddlewareFailed"),
         fmt::format("the middleware at {} did not answer: {}", settings_.target,
                     is_late ? fmt::format("no answer within {}", FormatDuration(settings_.timeout))
                             : std::string(status.message())),
         {}});
    return false;
  }

  const GrpcSettings settings_;
  const std::shared_ptr<ServiceClient> client_;
  const Clock& clock_;
};

absl::StatusOr<std::shared_ptr<const Middleware>> MakeGrpcStep(ServiceClients& clients,
                                                               StepSettings& settings,
                                                               const StepContext& context) {
  GrpcSettings read;
  read.target = settings.Text("target");
  read.timeout = settings.Duration("timeout", kTimeoutDefault);
  read.fail_open = settings.Flag("failOpen");
  read.asks_before = settings.Flag("before");
  read.asks_after = settings.Flag("after");
  if (!read.asks_before && !read.asks_after) read.asks_before = read.asks_after = true;
  ASSIGN_OR_RETURN(auto client, clients.Get(read.target));
  return std::make_shared<const GrpcStep>(std::move(read), std::move(client), context.clock);
}

}  // namespace

void AddGrpcMiddleware(ServiceClients& clients, MiddlewareCatalog* catalog) {
  catalog->Add("grpc", [&clients](StepSettings& settings, const StepContext& context) {
    return MakeGrpcStep(clients, settings, context);
  });
}

}  // namespace penstock::executor
