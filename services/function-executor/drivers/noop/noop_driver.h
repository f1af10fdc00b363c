// A driver with nothing behind it.
#pragma once

#include <memory>
#include <string>

#include "services/function-executor/ports/driver.h"

namespace penstock::executor {

// Answers with the payload that it was given, before Start returns. Thread-safe.
class NoopDriver final : public Driver {
 public:
  std::shared_ptr<Call> Start(Invocation invocation, Done done) override;
  void Forget(const std::string& uid, std::int64_t version) override;
  void Stop() override;
};

}  // namespace penstock::executor
