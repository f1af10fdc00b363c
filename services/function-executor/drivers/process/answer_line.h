// The lines that a worker writes: whether it is ready, and the answer to each call.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "services/function-executor/domain/invocation.h"

namespace penstock::executor {

// A worker's first line, {"ready": true} or {"ready": false, "error": …}.
struct ReadyLine {
  bool ready = false;
  std::optional<FunctionError> error;  // Why it is not ready; set when `ready` is false.
};

// Nothing when `line` is no such line. Without its line end, as below.
std::optional<ReadyLine> ParseReadyLine(std::string_view line);

// What an answer says; `logs` holds only those that the answer itself carries. A line that is no
// answer gives an error of type "InvalidAnswer" that quotes it, and `valid` is false: the worker
// cannot be trusted to keep to one line a call.
struct AnswerLine {
  Outcome outcome;
  std::string execution_id;  // Which call it answers; empty when it does not say.
  bool valid = true;
};
AnswerLine ParseAnswerLine(std::string_view line);

// The error of type "InvalidAnswer" for `line`, of which `problem` reads on: "the function's answer
// …".
FunctionError InvalidAnswer(std::string_view problem, std::string_view line);

}  // namespace penstock::executor
