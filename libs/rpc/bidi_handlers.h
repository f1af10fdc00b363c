// What the owners of the two ends of a bidirectional stream do.
#pragma once

#include <functional>

#include "absl/status/status.h"
#include "libs/rpc/call_options.h"

namespace penstock::rpc {

// What the owner of a client stream does. All run under the callback guard and must not block. They
// are destroyed after on_done, so they may keep their owner alive.
template <typename Out, typename In>
struct BidiClientHandlers {
  // Packs what waits to be sent into the empty `message`; false when nothing waits. Runs in a
  // reaction or inside Notify, in the thread that called it; never twice at a time. No lock of the
  // stream is held.
  std::function<bool(Out& message)> fill;
  // A message has come. One at a time; the next read starts when it returns. The message is reused:
  // swap out or copy what is kept.
  std::function<void(In& message)> on_message;
  // The end, exactly once, after every other callback.
  std::function<void(const absl::Status&, const ResponseMetadata&)> on_done;
};

// What the owner of a server stream does. All run under the callback guard and must not block. They
// are destroyed after on_done, so they may keep their owner alive.
template <typename In, typename Out>
struct BidiServerHandlers {
  // Packs what waits to be sent into the empty `message`; false when nothing waits. Runs in a
  // reaction or inside Notify, in the thread that called it; never twice at a time. No lock of the
  // stream is held.
  std::function<bool(Out& message)> fill;
  // A message has come. One at a time; the next read starts when it returns. The message is reused.
  std::function<void(In& message)> on_message;
  // The client will send no more (it half-closed, or is gone). When not set, the stream is finished
  // with OK once everything that `fill` gives has been written.
  std::function<void()> on_half_close;
  // The end, exactly once, after every other callback: the status given to Finish, or CANCELLED
  // when the client is gone.
  std::function<void(const absl::Status&)> on_done;
};

}  // namespace penstock::rpc
