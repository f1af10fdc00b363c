#include "libs/rpc/contain.h"

#include <cstdio>
#include <memory>
#include <mutex>

namespace penstock::rpc {
namespace {

void WriteToStandardError(std::string_view where, std::string_view what) {
  std::fprintf(stderr, "exception in %.*s: %.*s\n", static_cast<int>(where.size()), where.data(),
               static_cast<int>(what.size()), what.data());
}

// Never destroyed: reactions may still end while the process exits.
struct Hook {
  std::mutex mutex;
  std::shared_ptr<const ExceptionLog> log =
      std::make_shared<const ExceptionLog>(WriteToStandardError);
};

Hook& TheHook() {
  static Hook& hook = *new Hook();
  return hook;
}

}  // namespace

void SetExceptionLog(ExceptionLog log) {
  auto shared = std::make_shared<const ExceptionLog>(std::move(log));
  const std::lock_guard lock(TheHook().mutex);
  TheHook().log = std::move(shared);
}

void ReportException(std::string_view where, std::string_view what) noexcept {
  std::shared_ptr<const ExceptionLog> log;
  {
    const std::lock_guard lock(TheHook().mutex);
    log = TheHook().log;
  }
  (*log)(where, what);
}

}  // namespace penstock::rpc
