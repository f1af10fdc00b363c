#include "services/gateway/api/route_wait.h"

#include <utility>

namespace penstock::gateway {
namespace {

// Of the call's loop once made.
struct Wait {
  std::shared_ptr<HttpCall> call;
  std::function<void(bool)> done;
  std::shared_ptr<http::Cancelable> timer;
  std::int64_t id = 0;

  void End(bool reached) {
    if (!done) return;
    if (timer != nullptr) timer->Cancel();
    const auto callback = std::exchange(done, nullptr);
    callback(reached);
    call.reset();
  }
};

}  // namespace

void WaitForRoutes(RouteBook& book, std::int64_t revision, std::chrono::milliseconds limit,
                   const std::shared_ptr<HttpCall>& call, std::function<void(bool reached)> done) {
  const auto wait = std::make_shared<Wait>();
  wait->call = call;
  wait->done = std::move(done);
  wait->timer = call->env().loops.RunAfter(call->loop(), limit, [wait, &book] {
    book.CancelWait(wait->id);
    wait->End(false);
  });
  wait->id = book.WaitFor(revision, [wait, call] { call->Post([wait] { wait->End(true); }); });
}

}  // namespace penstock::gateway
