// Calls functions that live behind a URL.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>

#include "libs/base/time.h"
#include "libs/http/client.h"
#include "services/function-executor/ports/driver.h"

namespace penstock::executor {

struct HttpDriverOptions {
  // The largest answer that is taken.
  std::size_t answer_bytes_max = 1U << 20;
  std::chrono::milliseconds connect_timeout{5'000};
};

// The `http` driver; README.md tells what it sends and how it reads answers.
//
// Thread-safe. `done` runs on a loop of the client and must not block. `client` and `clock` must
// outlive it; who owns the client stops it after the driver.
class HttpDriver final : public Driver {
 public:
  using Options = HttpDriverOptions;

  HttpDriver(Options options, http::Client& client, const Clock& clock);
  // Stops as Stop() does.
  ~HttpDriver() override;

  // Calls `invocation`, whose function must have an HttpTarget.
  std::shared_ptr<Call> Start(Invocation invocation, Done done) override;

  // Does nothing: no state is kept of functions.
  void Forget(const std::string& uid, std::int64_t version) override;

  // Ends calls in flight with "Unavailable". Not from a loop of the client.
  void Stop() override;

 private:
  class State;
  class HttpCall;

  const Options options_;
  http::Client& client_;
  const Clock& clock_;
  const std::shared_ptr<State> state_;
};

}  // namespace penstock::executor
