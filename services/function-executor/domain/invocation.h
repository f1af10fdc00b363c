// What an invocation is: the function to run, what it is given, and what comes back.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "absl/status/status.h"
#include "libs/base/time.h"
#include "libs/jsonschema/schema.h"

namespace penstock::executor {

// Payload bytes, shared and never changed: nothing between the wire and the driver copies them.
using Bytes = std::shared_ptr<const std::string>;

// Who has to act on an error: the caller, the function's author, or the operator.
enum class ErrorCategory { kInput, kFunction, kSystem };

struct FunctionError {
  ErrorCategory category = ErrorCategory::kFunction;
  std::string type;  // For example "ValueError", "Timeout", "HttpStatus".
  std::string message;
  std::vector<std::string> stacktrace;  // Innermost frame last, one line each.
};

// Lines that the function wrote while it ran, without their line ends.
struct Logs {
  std::vector<std::string> out;
  std::vector<std::string> err;
  bool truncated = false;  // More was written than the limit keeps.
};

// The values of a secret by key. Never logged, like the next.
using SecretValues = std::map<std::string, std::string>;
// By secret.
using Secrets = std::map<std::string, SecretValues>;

// How an HTTP function is called when the trigger is an event.
enum class HttpFormat {
  kBinary,      // CloudEvents binary mode; the default.
  kStructured,  // application/cloudevents+json.
  kRaw,         // The event's data and content type alone.
  kContext,     // {"context": …, "payload": …}, the same JSON that a process function reads.
};

struct HttpTarget {
  std::string url;
  HttpFormat format = HttpFormat::kBinary;
  std::map<std::string, std::string> headers;  // Added to each request.
  std::string signing_secret;                  // The id; empty: requests are not signed.
};

// What a worker process is kept from.
struct ProcessIsolation {
  bool no_network = false;
  bool own_namespaces = false;
  bool own_user = false;     // It must not run as the executor's own user.
  bool best_effort = false;  // What the system does not allow is left out.

  bool any() const { return no_network || own_namespaces || own_user; }
};

struct ProcessTarget {
  std::string runtime;               // "python3", "node" or "exec".
  std::string source;                // The program text, or a script to run for "exec".
  std::string source_digest;         // Of a source that is fetched, instead.
  std::string entry;                 // The file in an archive that is loaded, or run.
  std::string handler = "handle";    // The function to call in `source`.
  std::vector<std::string> command;  // Program and arguments; "exec" without a source.
  int workers_max = 4;
  Microseconds idle_timeout{300'000'000};
  std::int64_t memory_bytes_max = 512LL << 20;
  std::int64_t output_bytes_max = 1LL << 20;  // Of one answer.
  int workers_min = 0;                        // Kept although there are no calls.
  std::int64_t calls_max = 0;    // A worker ends after so many; 0: as the driver's options say.
  Microseconds cpu_time_max{0};  // Of one call; 0: no limit of its own.
  int files_max = 0;             // Open files; 0: as the driver's options say.
  ProcessIsolation isolation;

  // Whether `source_digest` names a folder as archive, and not one file.
  bool source_is_archive() const { return !entry.empty() || !command.empty(); }
};

// Answers at once with the payload it was given. For tests and benchmarks.
struct NoopTarget {};

// Other functions of the space, one of which is called instead.
struct WeightedTarget {
  struct Share {
    std::string function;
    int weight = 0;
  };
  std::vector<Share> shares;  // At least one weight is above 0.
};

using Target = std::variant<NoopTarget, HttpTarget, ProcessTarget, WeightedTarget>;

// A middleware as it was set: its kind, the name of the field in
// `penstock.functions.v1.Middleware`, and the JSON form of that field's message.
struct StepSpec {
  std::string kind;
  std::string settings;

  friend bool operator==(const StepSpec&, const StepSpec&) = default;
};

// Where the result of an asynchronous invocation goes: a function of the same space, or an event;
// both empty for nowhere.
struct AsyncDestination {
  std::string function;
  std::string event_type;

  bool empty() const { return function.empty() && event_type.empty(); }
};

// What asynchronous invocations do; what is 0 or not set is as the broker does it.
struct AsyncPolicy {
  int attempts_max = 0;
  std::optional<Microseconds> delay_initial;
  std::optional<Microseconds> delay_max;
  std::optional<Microseconds> age_max;
  AsyncDestination on_success;
  AsyncDestination on_failure;
  std::string callback_url;
  std::string callback_signing_secret;  // The id; empty: callbacks are not signed.
};

// An immutable version of a function, as the function-manager announced it.
struct FunctionSpec {
  std::string space;
  std::string id;
  std::string uid;            // New for each creation under the same id.
  std::int64_t version = 0;   // Counts up from 1 with each change of the function.
  std::int64_t revision = 0;  // The function-manager's revision that announced it.
  Microseconds timeout{30'000'000};
  int concurrency_max = 0;  // Calls at the same time; 0 means no limit of its own.
  std::map<std::string, std::string> environment;
  std::vector<std::string> secrets;  // Ids of those that it is given.
  // What it takes and answers; null for anything.
  std::shared_ptr<const jsonschema::Schema> input_schema;
  std::shared_ptr<const jsonschema::Schema> output_schema;
  std::vector<StepSpec> middleware;  // In their order on the way in.
  AsyncPolicy async;
  Target target;
};

// A version's share of the calls by the function's name, in percent.
struct TrafficShare {
  std::int64_t version = 0;
  int percent = 0;
};

enum class TriggerKind { kCall, kEvent, kHttp };

// An event's attributes in their canonical string form (CloudEvents 1.0.2, section "Type System").
struct EventAttributes {
  std::string id;
  std::string source;
  std::string type;
  std::string spec_version = "1.0";
  std::map<std::string, std::string> others;  // datacontenttype, subject, time, extensions, …
};

// One event of a batch.
struct BatchedEvent {
  std::string delivery_id;
  EventAttributes event;
  Bytes payload;  // Never null.
  std::string content_type;
};

// In their order; at least one.
using Batch = std::vector<BatchedEvent>;

struct HttpRequestContext {
  std::string method;
  std::string path;
  std::string host;
  std::vector<std::pair<std::string, std::string>> query;
  std::vector<std::pair<std::string, std::string>> headers;
  std::map<std::string, std::string> params;  // From the route: ":id", "*rest".
};

// One call of a function, complete: a driver needs nothing else.
struct Invocation {
  std::string execution_id;
  std::shared_ptr<const FunctionSpec> function;
  TriggerKind trigger = TriggerKind::kCall;
  Bytes payload;  // Never null; may be empty.
  std::string content_type;
  std::optional<EventAttributes> event;
  std::optional<HttpRequestContext> http;
  std::shared_ptr<const Secrets> secrets;  // For the function's context; null for none.
  // What HttpTarget::signing_secret names; null for none.
  std::shared_ptr<const SecretValues> signing;
  std::string delivery_id;  // Stable over retries; empty when not a delivery.
  int attempt = 1;
  bool replay = false;  // The event is delivered again on purpose.
  // Set for a delivery of several events in one call. `payload` is then the batch in the
  // CloudEvents JSON batch format; `event` and `delivery_id` are the first one's.
  std::shared_ptr<const Batch> batch;
  std::string traceparent;
  // Only for a call that middleware sees. The principal, and the caller's key for one run.
  std::string caller;
  std::string idempotency_key;
  MonotonicTime
      deadline;  // The driver has answered by then, with an error of type "Timeout" if need be.
  WallTime deadline_wall;  // The same moment for the function's context.
};

// What a function measured: `value` is added to a counter of its name and labels.
struct FunctionMetric {
  std::string name;
  double value = 1;
  std::map<std::string, std::string> labels;
};

// What became of an invocation. `error` empty means success.
struct Outcome {
  Bytes payload;  // Never null.
  std::string content_type;
  std::optional<FunctionError> error;
  Logs logs;
  int http_status = 0;                      // Of an HTTP function's answer; 0 for others.
  std::optional<Microseconds> retry_after;  // From a Retry-After header.
  bool timed_out = false;                   // The error is that the deadline passed.
  // Not OK when a middleware refused the call before any driver had it: what the caller is told.
  absl::StatusCode refusal = absl::StatusCode::kOk;
  std::vector<FunctionMetric> metrics;
};

}  // namespace penstock::executor
