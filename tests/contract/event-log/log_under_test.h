// What the suite needs of a log, whatever stores it.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "libs/base/fake_clock.h"
#include "services/event-broker/ports/event_log.h"

namespace penstock::broker {

// A log with small units of storage, so that a few dozen events fill several of them, a
// deduplication window of 300 s, and at most 1,000 events of at most 64 KiB each waiting.
class LogUnderTest {
 public:
  virtual ~LogUnderTest() = default;

  // The log; open from the start.
  virtual EventLog& log() = 0;
  // Closes the log and opens what it stored again.
  virtual void Restart() = 0;
  // The clock that the log reads.
  virtual FakeClock& clock() = 0;
  // Keeps events for `age` from now on, and removes what is over it.
  virtual void RetainFor(Microseconds age) = 0;
};

struct LogKind {
  std::string name;
  std::function<std::unique_ptr<LogUnderTest>()> make;
};

// Every implementation.
std::vector<LogKind> AllLogKinds();

}  // namespace penstock::broker
