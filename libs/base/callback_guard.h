// Keeps gRPC reactions from blocking: two callback threads serve the whole process.
#pragma once

namespace penstock {

// Marks the current thread as running a gRPC reaction or an event-loop handler for its lifetime.
// Nests.
class CallbackScope {
 public:
  CallbackScope();
  ~CallbackScope();
  CallbackScope(const CallbackScope&) = delete;
  CallbackScope& operator=(const CallbackScope&) = delete;
};

// True inside a CallbackScope.
bool InCallback();

// To be called before anything that can block. Inside a CallbackScope it aborts with `what`
// in builds that have PENSTOCK_CALLBACK_GUARD, and does nothing in others.
void AssertMayBlock(const char* what);

}  // namespace penstock
