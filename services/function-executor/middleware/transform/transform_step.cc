#include "services/function-executor/middleware/transform/transform_step.h"

#include <fmt/format.h>

#include <memory>
#include <string>
#include <string_view>
#include <utility>

#include "services/function-executor/domain/content_type.h"

namespace penstock::executor {
namespace {

using Program = std::shared_ptr<const std::string>;

constexpr Microseconds kBusyRetryAfter{1'000'000};
constexpr char kJsonType[] = "application/json";

Program ProgramOf(std::string text) {
  return text.empty() ? nullptr : std::make_shared<const std::string>(std::move(text));
}

// The program on the data of each event of a batch; bytes stay as they are. In one line with it,
// so that its own lines count as they stand.
Program ForBatch(const Program& program) {
  if (program == nullptr) return nullptr;
  return std::make_shared<const std::string>(fmt::format(
      "[.[]|if has(\"data_base64\") then . else .data=([.data|({}\n)]|if length==1 then .[0] else "
      "error(\"the program gave \\(length) values: expected exactly one\") end) end]",
      *program));
}

enum class Phase { kBefore, kAfter };

FunctionError Error(Phase phase, ErrorCategory category, std::string type,
                    std::string_view message) {
  return {category,
          std::move(type),
          fmt::format("transform.{}: {}", phase == Phase::kBefore ? "before" : "after", message),
          {}};
}

// What a transformation without an output ends its call with. Of a program that fails on what came
// in, the caller is told; all else is the author's to mend.
Outcome Failure(Phase phase, const JqResult& result) {
  const bool is_before = phase == Phase::kBefore;
  const ErrorCategory blamed = is_before ? ErrorCategory::kInput : ErrorCategory::kFunction;
  const auto of_author = [&](const char* type, std::string_view message) {
    return FailedOutcome(Error(phase, ErrorCategory::kFunction, type, message));
  };
  switch (result.kind) {
    case JqResult::Kind::kOutput: break;
    case JqResult::Kind::kNotJson:
      return FailedOutcome(Error(phase, blamed, is_before ? "InvalidPayload" : "InvalidAnswer",
                                 "expected JSON: " + result.text));
    case JqResult::Kind::kFailed:
      return FailedOutcome(Error(phase, blamed, "TransformFailed", result.text));
    case JqResult::Kind::kOutputTooLarge:
      return of_author("OutputTooLarge", "the program's value is too large");
    case JqResult::Kind::kRunTooLong:
      return of_author("TransformTimeout", "the program ran too long");
    case JqResult::Kind::kOutOfMemory:
      return of_author("OutOfMemory", "the program wanted too much memory");
    case JqResult::Kind::kCrashed:
      return of_author("Crashed", "the program's process " + result.text);
    case JqResult::Kind::kDeadline: return TimedOut("transform");
    case JqResult::Kind::kBusy:
      if (!is_before) break;
      return RefusedOutcome(
          absl::StatusCode::kResourceExhausted,
          Error(phase, ErrorCategory::kSystem, "Busy", "too many transformations wait"),
          kBusyRetryAfter);
    case JqResult::Kind::kUnavailable:
      return FailedOutcome(Error(phase, ErrorCategory::kSystem, "Unavailable", result.text));
  }
  // The function has run: what is "Busy" to a caller has not.
  return FailedOutcome(Error(phase, ErrorCategory::kSystem, "TransformUnavailable",
                             "too many transformations wait"));
}

class TransformStep final : public Middleware {
 public:
  TransformStep(JqPool& pool, std::string before, std::string after)
      : pool_(pool),
        before_(ProgramOf(std::move(before))),
        before_batch_(ForBatch(before_)),
        after_(ProgramOf(std::move(after))) {}

  void Handle(const std::shared_ptr<Step>& step) const override {
    if (before_ == nullptr) return GoOn(step);
    if (!Reads(step->content_type())) {
      return step->Finish(Failure(
          Phase::kBefore,
          {JqResult::Kind::kNotJson, fmt::format("the content type is {}", step->content_type())}));
    }
    step->OnCancel([weak = std::weak_ptr(step)] { EndCancelled(weak); });
    pool_.Run(step->call().batch != nullptr ? before_batch_ : before_, InputOf(step->payload()),
              step->deadline(), [this, step](JqResult result) {
                if (result.kind == JqResult::Kind::kOutput) {
                  step->SetInput(std::make_shared<const std::string>(std::move(result.text)),
                                 TypeOf(step->content_type()));
                  return GoOn(step);
                }
                step->Finish(Failure(Phase::kBefore, result));
              });
  }

 private:
  static bool Reads(const std::string& content_type) {
    return content_type.empty() || IsJsonContentType(content_type);
  }
  // "application/cloudevents+json" says more than that it is JSON.
  static std::string TypeOf(const std::string& content_type) {
    return content_type.empty() ? kJsonType : content_type;
  }
  // Nothing is null: an HTTP event need not have a body.
  static Bytes InputOf(const Bytes& payload) {
    static const Bytes null = std::make_shared<const std::string>("null");
    return payload->empty() ? null : payload;
  }
  static void EndCancelled(const std::weak_ptr<Step>& weak) {
    if (const auto step = weak.lock()) step->Finish(CancelledOutcome());
  }

  void GoOn(const std::shared_ptr<Step>& step) const {
    if (after_ == nullptr) return step->Next();
    step->Next([this, step](Outcome outcome) { HandleAnswer(step, std::move(outcome)); });
  }

  void HandleAnswer(const std::shared_ptr<Step>& step, Outcome outcome) const {
    if (outcome.error) return step->Finish(std::move(outcome));
    auto answer = std::make_shared<Outcome>(std::move(outcome));
    if (!Reads(answer->content_type)) {
      return Fail(
          step, *answer,
          {JqResult::Kind::kNotJson, fmt::format("the content type is {}", answer->content_type)});
    }
    step->OnCancel([weak = std::weak_ptr(step)] { EndCancelled(weak); });
    pool_.Run(after_, InputOf(answer->payload), step->deadline(), [step, answer](JqResult result) {
      if (result.kind != JqResult::Kind::kOutput) return Fail(step, *answer, result);
      answer->payload = std::make_shared<const std::string>(std::move(result.text));
      answer->content_type = TypeOf(answer->content_type);
      step->Finish(std::move(*answer));
    });
  }

  // What the function wrote is kept.
  static void Fail(const std::shared_ptr<Step>& step, Outcome& answer, const JqResult& result) {
    Outcome failed = Failure(Phase::kAfter, result);
    failed.logs = std::move(answer.logs);
    step->Finish(std::move(failed));
  }

  JqPool& pool_;
  const Program before_;
  const Program before_batch_;
  const Program after_;
};

}  // namespace

void AddTransformMiddleware(JqPool& pool, MiddlewareCatalog* catalog) {
  catalog->Add(
      "transform",
      [&pool](StepSettings& settings,
              const StepContext& /*context*/) -> absl::StatusOr<std::shared_ptr<const Middleware>> {
        return std::make_shared<const TransformStep>(pool, settings.Text("before"),
                                                     settings.Text("after"));
      });
}

}  // namespace penstock::executor
