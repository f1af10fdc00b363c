// What operators are told about the log: when something changes, and in the readiness report.
#pragma once

#include <set>
#include <string>
#include <vector>

#include "services/event-broker/ports/event_log.h"

namespace penstock::broker {

// How near the worst pin is to its limit: 0, 50, 80 or 100 percent are reached.
int PinAlarmPercent(const PinHealth& pins);

struct LogAlarm {
  std::string sentence;
  PinOwner owner;        // Whom it is about; of a refused space only the space is set.
  int percent = 0;       // That is reached.
  bool is_over = false;  // It ended.
};

// Tells each change once. Not thread-safe.
class LogAlarms {
 public:
  // What has changed since the last look.
  std::vector<LogAlarm> Look(const LogHealth& health);

 private:
  int percent_ = 0;
  std::set<std::string> refused_;
};

// What the readiness report should note about a log that serves: pins near their limit, refused
// spaces, damaged ranges. Empty: nothing.
std::string LogNote(const LogHealth& health);

}  // namespace penstock::broker
