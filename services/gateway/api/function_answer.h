// A function's result as an HTTP answer.
#pragma once

#include <penstock/executions/v1/executor.pb.h>

#include "libs/http/message.h"

namespace penstock::gateway {

// A JSON object with an integer `statusCode` is the answer (`headers`, `body`, `isBase64`);
// anything else is a 200 with that body and its content type. Errors are 400 (InputError), 502
// (FunctionError), 503 (SystemError) and 504 (a timeout), with header Penstock-Error and
// google.rpc.Status as body. Penstock-Execution names the record, whatever happened.
http::Response AnswerOf(const executions::v1::InvokeResponse& response);

}  // namespace penstock::gateway
