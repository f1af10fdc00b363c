// What stands between a caller and a function: the interface of a middleware.
#pragma once

#include <atomic>
#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "libs/base/time.h"
#include "services/function-executor/domain/execution.h"
#include "services/function-executor/domain/invocation.h"

namespace penstock::executor {

class ChainRun;

// A call at one place of its chain: what a middleware sees of it and can do with it. Whoever holds
// the call does one of two things, now or later, on any thread: Next gives it to what stands behind
// (the next middleware, or the function), and Finish gives an answer to what stands before. After
// Next the middleware holds the call again when its `after` is called with the answer; then it may
// Finish, or Next once more. What is called while another holds the call does nothing, so a timer
// and a cancellation may race.
//
// A middleware that keeps a call longer than a moment has to Finish it by deadline(), with
// TimedOut(), and soon after a cancellation.
class Step : public std::enable_shared_from_this<Step> {
 public:
  using After = std::function<void(Outcome)>;

  // The call as it came; what steps before changed is in the next three.
  const Invocation& call() const;
  // For a batch: the events in the CloudEvents JSON batch format.
  const Bytes& payload() const { return payload_; }
  const std::string& content_type() const { return content_type_; }
  MonotonicTime deadline() const { return deadline_; }
  // True for what a broker delivers, an event or an asynchronous call: the broker repeats it and
  // pauses for it.
  bool is_delivery() const {
    return call().trigger == TriggerKind::kEvent || !call().delivery_id.empty();
  }

  // What Next passes on. `payload` is not null. For a batch it is one again, with the same events
  // in their order: the `data` of each becomes what the function is given.
  void SetInput(Bytes payload, std::string content_type);
  // As SetInput; a later one than the present is ignored.
  void ShortenDeadline(MonotonicTime deadline);
  // What the record says of this phase, in place of what the chain sees by itself: "passed",
  // "changed", "answered" or "refused". A few words, the same for equal effects.
  void SetEffect(std::string effect) { effect_ = std::move(effect); }
  // Called once when the call is cancelled before the next Next or Finish; at once when it was.
  void OnCancel(std::function<void()> hook);

  // Without `after` the answer passes by, and the record has no second entry.
  void Next(After after = {});
  // Passes on what this middleware does nothing with: the record says "skipped".
  void Skip();
  void Finish(Outcome outcome);

 private:
  friend class ChainRun;
  enum class Holder { kThis, kInner, kDone };

  Step(std::shared_ptr<ChainRun> run, std::size_t place, std::shared_ptr<Step> outer);
  bool Take(Holder from, Holder to);
  // The answer of what stands behind.
  void Return(Outcome outcome);
  void Record(StepPhase phase, std::string_view seen);

  const std::shared_ptr<ChainRun> run_;
  const std::size_t place_;
  const std::shared_ptr<Step> outer_;  // Null for the first.
  std::atomic<Holder> holder_{Holder::kThis};
  Bytes payload_;
  std::string content_type_;
  MonotonicTime deadline_;
  After after_;
  bool is_changed_ = false;
  bool has_gone_on_ = false;
  std::string effect_;
  MonotonicTime since_;  // When this phase began.
  // What came back, to see whether it is changed.
  Bytes returned_;
  std::string returned_type_;
  bool has_returned_error_ = false;
};

// What a record is about to keep of a call: whole bodies, which a middleware may change or drop
// (null). A running call has no output yet.
struct RecordBodies {
  Bytes input;
  std::string input_type;
  Bytes output;
  std::string output_type;
  bool is_batch = false;  // The input is in the CloudEvents JSON batch format.
  bool has_failed = false;
  bool keeps_logs = true;
};

// A kind of step, made once for each place in a version's chain and shared by all its calls.
// Thread-safe; never blocks.
class Middleware {
 public:
  virtual ~Middleware() = default;

  // Takes a call; see Step.
  virtual void Handle(const std::shared_ptr<Step>& step) const = 0;

  // Changes what records keep. Asked for each record, however far the call came.
  virtual void ShapeRecord(RecordBodies* /*bodies*/) const {}
};

// An outcome without a payload.
Outcome FailedOutcome(FunctionError error);
// Says that no driver was given the call, as `code`; `retry_after` above zero tells when to come
// again.
Outcome RefusedOutcome(absl::StatusCode code, FunctionError error,
                       Microseconds retry_after = Microseconds(0));
// The call's time passed while `who` had it.
Outcome TimedOut(std::string_view who);
Outcome CancelledOutcome();

}  // namespace penstock::executor
