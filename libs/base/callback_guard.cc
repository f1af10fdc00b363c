#include "libs/base/callback_guard.h"

#include <cstdio>
#include <cstdlib>

namespace penstock {
namespace {
thread_local int depth = 0;
}  // namespace

CallbackScope::CallbackScope() { ++depth; }
CallbackScope::~CallbackScope() { --depth; }

bool InCallback() { return depth > 0; }

void AssertMayBlock([[maybe_unused]] const char* what) {
#ifdef PENSTOCK_CALLBACK_GUARD
  if (depth == 0) return;
  std::fprintf(stderr, "blocking call on a callback thread: %s\n", what);
  std::abort();
#endif
}

}  // namespace penstock
