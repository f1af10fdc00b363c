// A flag that asks work to stop, with callbacks.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <mutex>

namespace penstock::rpc {

// Set once, never cleared. A server call has one (CallContext::cancellation); giving it to the
// calls made on behalf of it (CallOptions::cancellation) cancels them with it. Thread-safe; shared
// by shared_ptr.
class Cancellation {
 public:
  // Sets the flag and runs the callbacks in this thread, each once.
  void Cancel();

  bool cancelled() const;

  // Runs `callback` when the flag is set: at once, in this thread, when it already is. Returns an
  // id for Unsubscribe. The callback may still be running in another thread when Unsubscribe
  // returns, so it must hold what it touches by weak_ptr or shared_ptr.
  std::uint64_t Subscribe(std::function<void()> callback);
  void Unsubscribe(std::uint64_t id);

 private:
  mutable std::mutex mutex_;
  bool cancelled_ = false;
  std::uint64_t next_id_ = 1;
  std::map<std::uint64_t, std::function<void()>> callbacks_;
};

}  // namespace penstock::rpc
