#include "services/function-executor/timers/loop_timers.h"

#include <utility>

namespace penstock::executor {
namespace {

class LoopTimer final : public Timers::Handle {
 public:
  explicit LoopTimer(std::shared_ptr<http::Cancelable> timer) : timer_(std::move(timer)) {}
  void Cancel() override { timer_->Cancel(); }

 private:
  const std::shared_ptr<http::Cancelable> timer_;
};

}  // namespace

std::shared_ptr<Timers::Handle> LoopTimers::RunAfter(Microseconds delay,
                                                     std::function<void()> task) {
  return std::make_shared<LoopTimer>(loops_.RunAfter(loops_.PickLoop(), delay, std::move(task)));
}

}  // namespace penstock::executor
