// The threads that run gRPC's reactions.
#pragma once

namespace penstock::rpc {

// Keeps gRPC's callback threads until the process ends. Without this they are joined, and their
// queue is deleted, when the last channel or server of the process is released; where that happens
// on one of these threads (a finished call holds the channel), the thread goes on with the deleted
// queue, and the process aborts. Idempotent, thread-safe; MakeChannel and ServerHost call it.
void KeepCallbackThreads();

}  // namespace penstock::rpc
