#include "services/event-broker/app/log_alarms.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

namespace penstock::broker {

int PinAlarmPercent(const PinHealth& pins) {
  const double share = pins.worst.has_value() ? pins.worst->share : 0;
  if (share >= 1) return 100;
  if (share >= 0.8) return 80;
  return share >= 0.5 ? 50 : 0;
}

std::vector<LogAlarm> LogAlarms::Look(const LogHealth& health) {
  std::vector<LogAlarm> changes;
  const int percent = PinAlarmPercent(health.pins);
  if (percent > percent_) {
    changes.push_back({.sentence = "a reader holds back much of what the log may keep for it",
                       .owner = health.pins.worst->owner,
                       .percent = percent});
  } else if (percent == 0 && percent_ > 0) {
    changes.push_back(
        {.sentence = "no reader holds back much of the log any more", .is_over = true});
  }
  percent_ = percent;
  std::set<std::string> refused(health.pins.refused_spaces.begin(),
                                health.pins.refused_spaces.end());
  for (const std::string& space : refused) {
    if (refused_.contains(space)) continue;
    changes.push_back({.sentence = "publishes to a space are refused until its readers catch up",
                       .owner = {.label = "", .space = space},
                       .percent = 100});
  }
  for (const std::string& space : refused_) {
    if (refused.contains(space)) continue;
    changes.push_back({.sentence = "publishes to a space are accepted again",
                       .owner = {.label = "", .space = space},
                       .is_over = true});
  }
  refused_ = std::move(refused);
  return changes;
}

std::string LogNote(const LogHealth& health) {
  std::vector<std::string> notes;
  if (const int percent = PinAlarmPercent(health.pins); percent > 0) {
    const PinUse& worst = *health.pins.worst;
    notes.push_back(fmt::format("{} holds back {:.0f} % of what the log may keep for it",
                                worst.owner.label.empty() ? "a reader" : worst.owner.label,
                                worst.share * 100));
  }
  if (!health.pins.refused_spaces.empty()) {
    notes.push_back(fmt::format("publishes are refused to spaces whose readers are behind: {}",
                                fmt::join(health.pins.refused_spaces, ", ")));
  }
  if (!health.lost.empty()) {
    const LostRange& first = health.lost.front();
    notes.push_back(fmt::format("{} ranges of the log cannot be read, the first is {} to {} of {}",
                                health.lost.size(), first.first, first.last, first.file));
  }
  return fmt::format("{}", fmt::join(notes, "; "));
}

}  // namespace penstock::broker
