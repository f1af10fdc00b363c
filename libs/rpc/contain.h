// Keeps exceptions of user code inside reactions: gRPC would turn them into UNIMPLEMENTED,
// silently.
#pragma once

#include <exception>
#include <functional>
#include <string_view>
#include <utility>

#include "libs/base/callback_guard.h"

namespace penstock::rpc {

// Receives what escaped: the place and the exception's text. Called on any thread; must not throw.
using ExceptionLog = std::function<void(std::string_view where, std::string_view what)>;

// Replaces the default, which writes one line to standard error. Call before servers and calls
// start.
void SetExceptionLog(ExceptionLog log);

// Hands an exception to the log.
void ReportException(std::string_view where, std::string_view what) noexcept;

// Runs `body` as a reaction: under the callback guard, with exceptions reported. False when one
// escaped.
template <typename Body>
bool Contain(std::string_view where, Body&& body) noexcept {
  const CallbackScope scope;
  try {
    std::forward<Body>(body)();
    return true;
  } catch (const std::exception& error) {
    ReportException(where, error.what());
  } catch (...) {
    ReportException(where, "an exception that is not a std::exception");
  }
  return false;
}

}  // namespace penstock::rpc
