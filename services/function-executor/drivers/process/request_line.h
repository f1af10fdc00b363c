// The line that a worker reads for each call.
#pragma once

#include <optional>
#include <string>

#include "services/function-executor/domain/invocation.h"

namespace penstock::executor {

struct RequestLine {
  std::string text;  // One line of JSON, its end included.
  std::optional<FunctionError>
      error;  // The caller's: a payload that is not what its content type says.
};

// Writes `invocation` as {"context": …, "payload": …}. README.md gives the form.
RequestLine WriteRequestLine(const Invocation& invocation);

// The payloads of a batch alone, as a JSON array.
std::string WritePayloadList(const Batch& batch);

}  // namespace penstock::executor
