// What is kept of a run of a function, and how records are asked for.
#pragma once

#include <compare>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "libs/base/time.h"
#include "services/function-executor/domain/invocation.h"

namespace penstock::executor {

enum class ExecutionState { kRunning, kSucceeded, kFailed };

// The beginning of a payload.
struct RecordedBody {
  std::string content_type;
  std::string bytes;
  std::int64_t size = 0;  // Of the whole payload, in bytes.
  bool truncated = false;
};

// Keeps at most `bytes_max` of `payload`, which may be null; nothing of an empty payload without a
// content type.
std::optional<RecordedBody> RecordBody(const Bytes& payload, const std::string& content_type,
                                       std::size_t bytes_max);

enum class StepPhase { kBefore, kAfter };

// What one step of the middleware did with a call.
struct StepRecord {
  std::string name;
  StepPhase phase = StepPhase::kBefore;
  Microseconds duration{0};
  std::string effect;
  bool is_of_space = false;

  friend bool operator==(const StepRecord&, const StepRecord&) = default;
};

// One run. Ids are bare: the space they lie in is `space`.
struct ExecutionRecord {
  std::string id;  // Begins with the instance.
  std::string space;
  std::string function;
  std::int64_t function_version = 0;
  TriggerKind trigger = TriggerKind::kCall;
  ExecutionState state = ExecutionState::kRunning;
  WallTime start;
  Microseconds duration{0};
  // Its parts: before it began, around the driver, and in it. `duration` holds the last two.
  Microseconds queue{0};
  Microseconds middleware{0};
  Microseconds driver{0};
  int attempt = 0;  // 0 when it is no delivery; so are the next six when it is no event.
  std::string delivery_id;
  std::vector<std::string> delivery_ids;  // Of a batch: all of them; the first is `delivery_id`.
  std::string subscription;
  std::string event_id;
  std::string event_type;
  std::string event_source;
  std::string caller;
  std::optional<RecordedBody> input;
  std::optional<RecordedBody> output;
  std::optional<FunctionError> error;  // Set when `state` is kFailed.
  Logs logs;
  std::string instance;
  std::string traceparent;
  std::vector<StepRecord> steps;  // In order of time.
};

// A place in the order of records: newest first, and the greater id first among those that started
// together.
struct ExecutionPosition {
  std::int64_t start_micros = 0;
  std::string id;

  friend auto operator<=>(const ExecutionPosition&, const ExecutionPosition&) = default;
};

ExecutionPosition PositionOf(const ExecutionRecord& record);

// Which records, and where in their order to begin. Empty members ask for nothing.
struct ExecutionQuery {
  std::string space;
  std::string function;
  std::optional<ExecutionState> state;
  std::optional<TriggerKind> trigger;
  std::string event_id;
  std::string subscription;
  std::string delivery_id;
  std::optional<WallTime> start_from;       // Inclusive.
  std::optional<WallTime> start_to;         // Exclusive.
  std::optional<ExecutionPosition> before;  // Only records that come after this one in the order.
  std::size_t limit = 50;
};

// Whether `record` is one that `query` asks for; the limit aside.
bool Matches(const ExecutionRecord& record, const ExecutionQuery& query);

}  // namespace penstock::executor
