#include "services/event-broker/api/schedule_intake.h"

#include <fmt/format.h>

#include <memory>
#include <utility>

#include "libs/base/ids.h"
#include "libs/base/status.h"

namespace penstock::broker {
namespace {

namespace pb = penstock::events::v1;

constexpr std::size_t kKeyDigits = 32;

ScheduledEvent ToScheduled(CheckedEvent& event, WallTime now) {
  ScheduledEvent scheduled;
  scheduled.key = ScheduleKey(event.append.source, event.append.id);
  scheduled.space = event.append.space;
  scheduled.type = event.append.type;
  scheduled.source = event.append.source;
  scheduled.id = event.append.id;
  scheduled.ordering_key = event.append.ordering_key;
  scheduled.body = std::string(event.append.body.view());
  scheduled.content_hash = event.append.content_hash;
  scheduled.due = *event.due;
  scheduled.create_time = now;
  return scheduled;
}

}  // namespace

std::string ScheduleKey(std::string_view source, std::string_view id) {
  // The length keeps ("a", "bc") and ("ab", "c") apart.
  return Sha256Hex(fmt::format("{} {}{}", source.size(), source, id)).substr(0, kKeyDigits);
}

// One call of Take on its way.
struct ScheduleIntake::Work {
  std::vector<CheckedEvent> events;
  Receipts receipts;              // One for each event; empty while it is open.
  std::vector<std::size_t> open;  // Indices of events without a receipt.
  WallTime now{};
  Done done;

  void Refuse(const absl::Status& status) {
    for (const std::size_t index : open) {
      receipts[index] = MakeRefusal(events[index].append.id, status);
    }
    done(std::move(receipts));
  }
};

void ScheduleIntake::Take(std::vector<CheckedEvent> events, Done done) {
  const auto work = std::make_shared<Work>();
  work->events = std::move(events);
  work->receipts.resize(work->events.size());
  for (std::size_t i = 0; i < work->events.size(); ++i) work->open.push_back(i);
  work->now = clock_.Wall();
  work->done = std::move(done);
  const bool queued = readers_.TryPost([this, work] {
    LookInLog(*work);
    Schedule(work);
  });
  if (queued) return;
  work->Refuse(WithRetryAfter(absl::ResourceExhaustedError("too many reads wait; try again"),
                              absl::Seconds(1)));
}

// On a reader's thread. What the log had within the window is a duplicate, as it would be without a
// due time. A log that cannot be searched finds out when it appends.
void ScheduleIntake::LookInLog(Work& work) const {
  std::erase_if(work.open, [&](std::size_t index) {
    const AppendRequest& append = work.events[index].append;
    const auto found = log_.FindById(
        {.space = append.space, .id = append.id, .source = append.source, .matches_max = 1});
    if (!found.ok() || found->empty()) return false;
    const EventRecord& record = found->front();
    if (record.append_time < work.now - dedup_window_) return false;
    AppendResult result;
    result.verdict = AppendVerdict::kDuplicate;
    result.sequence = record.sequence;
    result.content_differs = record.content_hash != append.content_hash;
    work.receipts[index] = MakeReceipt(append.id, result, log_.durability());
    return true;
  });
}

void ScheduleIntake::Schedule(const std::shared_ptr<Work>& work) {
  if (work->open.empty()) return work->done(std::move(work->receipts));
  std::vector<ScheduledEvent> scheduled;
  for (const std::size_t index : work->open) {
    scheduled.push_back(ToScheduled(work->events[index], work->now));
  }
  schedule_.Schedule(
      std::move(scheduled), [this, work](const absl::StatusOr<std::vector<bool>>& fresh) {
        if (!fresh.ok()) return work->Refuse(fresh.status());
        std::vector<std::size_t> known;
        for (std::size_t i = 0; i < work->open.size(); ++i) {
          const std::size_t index = work->open[i];
          const CheckedEvent& event = work->events[index];
          if ((*fresh)[i]) {
            work->receipts[index] = MakeScheduledReceipt(event.append.id, *event.due,
                                                         /*duplicate=*/false, /*differs=*/false);
          } else {
            known.push_back(index);
          }
        }
        work->open = std::move(known);
        DescribeKnown(work, 0);
      });
}

// The receipts of events that were scheduled before, one after the other.
void ScheduleIntake::DescribeKnown(const std::shared_ptr<Work>& work, std::size_t position) {
  if (position == work->open.size()) return work->done(std::move(work->receipts));
  const std::size_t index = work->open[position];
  const AppendRequest& append = work->events[index].append;
  schedule_.GetScheduled(
      append.space, ScheduleKey(append.source, append.id),
      [this, work, position, index](const absl::StatusOr<ScheduledEvent>& before) {
        const AppendRequest& given = work->events[index].append;
        if (before.ok()) {
          work->receipts[index] = MakeScheduledReceipt(given.id, before->due, /*duplicate=*/true,
                                                       before->content_hash != given.content_hash);
        } else if (absl::IsNotFound(before.status())) {
          // It was published or taken back a moment ago.
          work->receipts[index] =
              MakeReceipt(given.id, {.verdict = AppendVerdict::kDuplicate}, log_.durability());
        } else {
          work->receipts[index] = MakeRefusal(given.id, before.status());
        }
        DescribeKnown(work, position + 1);
      });
}

}  // namespace penstock::broker
