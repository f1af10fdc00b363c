// Turns calls between the two ends of a stream in one process into steps that do not nest.
#pragma once

#include <deque>
#include <utility>

#include "absl/functional/any_invocable.h"

namespace penstock::rpc {

// The steps of one thread: the first runs where it is asked for, and those that it asks for run
// behind it, in order, before Run returns to the first caller. So no step meets another one of its
// thread half done, and a conversation between two ends takes no stack.
class Steps {
 public:
  template <typename Step>
  static void Run(Step&& step) {
    Steps& steps = OfThisThread();
    if (steps.running_) {
      steps.waiting_.emplace_back(std::forward<Step>(step));
      return;
    }
    steps.running_ = true;
    step();
    steps.RunWaiting();
    steps.running_ = false;
  }

 private:
  static Steps& OfThisThread();
  void RunWaiting();

  bool running_ = false;
  std::deque<absl::AnyInvocable<void()>> waiting_;
};

}  // namespace penstock::rpc
