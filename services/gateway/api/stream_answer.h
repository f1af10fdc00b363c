// A server-streaming RPC as an HTTP answer that does not end: JSON lines, server-sent events, or
// the bytes of google.api.HttpBody messages.
#pragma once

#include "services/gateway/api/transcoded_call.h"

namespace penstock::gateway {

// Makes the call and passes its messages on one by one, as fast as the client reads. An error
// before the first message is the answer; a later one is the last line (`{"error": …}`, or an SSE
// event named `error`). Server-sent events when the request accepts text/event-stream, else
// application/x-ndjson. Where the rule's body is an HttpBody its bytes are the answer's, of the
// first message's content type; an error cuts the answer off then. On the call's loop.
void AnswerWithStream(TranscodedCall order);

}  // namespace penstock::gateway
