// The shell's start, the log's head, and scans of older parts.
#include <algorithm>
#include <utility>

#include "libs/log/log.h"
#include "services/event-broker/codec/cloud_event_attributes.h"
#include "services/event-broker/delivery/delivery_shell.h"

namespace penstock::broker {
namespace {

using namespace std::chrono_literals;

constexpr std::size_t kHeadEvents = 1024;
constexpr std::size_t kHeadBytes = 8u << 20;
constexpr Microseconds kReadAgainAfter = 1s;

}  // namespace

void DeliveryShell::Restore(DeliveryStart& start) {
  const Sequence through = start.saved.matched_through;
  engine_.emplace(options_.engine, through);
  for (const Subscription& subscription : start.live) {
    if (subscription.http) continue;
    subscriptions_[subscription.uid] = std::make_shared<const Subscription>(subscription);
  }
  std::set<std::string> known;
  for (const auto& stored : start.revisions) {
    const Subscription& subscription = stored->subscription;
    if (subscription.http) continue;
    if (subscription.effective_sequence > through) {
      ahead_.emplace(subscription.effective_sequence, stored);
    } else if (stored->deleted) {
      index_.Remove(subscription.uid);
      known.erase(subscription.uid);
    } else {
      index_.Set(subscription, subscription.effective_sequence, kNoSequence);
      known.insert(subscription.uid);
    }
  }
  RestoreLanes(start, known);
  for (const StoredReplay& replay : start.replays) {
    if (!engine_->Progress(replay.uid)) {
      StartReplay(replay);
      continue;
    }
    AddReplay(replay, &start.saved);
  }
  pin_ = ports_.log.Pin(engine_->lowest_needed(), {"matcher", ""});
  for (const auto& [lane, cursor] : start.saved.cursors) {
    if (engine_->Progress(lane)) PinLane(lane, cursor.floor + 1);
  }
  RestoreEndedReplays(start);
  for (const auto& [lane, dead] : start.saved.dead) engine_->RestoreDead(lane, dead, now(), out_);
}

// Of replays that have ended there may be rows, of letters that are being redriven. One with
// a cursor was ended just before the process, which did not come to take its lane out of the store.
void DeliveryShell::RestoreEndedReplays(const DeliveryStart& start) {
  std::set<std::string> going;
  for (const StoredReplay& replay : start.replays) going.insert(replay.Lane());
  const auto has_ended = [&](const std::string& lane) {
    return !ReplayOfLane(lane).empty() && !going.contains(lane);
  };
  for (const auto& [lane, cursor] : start.saved.cursors) {
    if (has_ended(lane)) engine_->Remove(lane, now(), out_);
  }
  for (const auto& [lane, rows] : start.saved.rows) {
    if (!has_ended(lane) || start.saved.cursors.contains(lane)) continue;
    engine_->RestoreEndedReplay(lane, rows, now(), out_);
  }
}

void DeliveryShell::RestoreLanes(const DeliveryStart& start, const std::set<std::string>& known) {
  static const std::vector<RetryRow> kNoRows;
  for (const std::string& uid : known) {
    const auto current = subscriptions_.find(uid);
    if (current == subscriptions_.end()) continue;  // A later control record will remove it.
    const auto cursor = start.saved.cursors.find(uid);
    const auto rows = start.saved.rows.find(uid);
    engine_->Restore(uid, SettingsOf(*current->second),
                     cursor == start.saved.cursors.end() ? nullptr : &cursor->second,
                     rows == start.saved.rows.end() ? kNoRows : rows->second, now(), out_);
  }
}

bool DeliveryShell::head_waits() const {
  return !head_loading_ && !read_again_at_ && ports_.log.head() > engine_->matched_through();
}

void DeliveryShell::ReadHead() {
  if (read_again_at_ && ports_.clock.Monotonic() < *read_again_at_) return;
  read_again_at_.reset();
  // A few batches a turn: results and timers get theirs in between.
  for (int turn = 0; turn < 4 && head_waits(); ++turn) {
    ScanRequest request;
    request.from = engine_->matched_through() + 1;
    request.events_max = kHeadEvents;
    request.bytes_max = kHeadBytes;
    if (const auto batch = ports_.log.ScanCached(request)) {
      TakeHeadBatch(*batch);
    } else {
      LoadHead(request);
    }
  }
}

void DeliveryShell::LoadHead(const ScanRequest& request) {
  head_loading_ = true;
  background_.Run(Background::Lane::kLoad,
                  [this, &log = ports_.log, request]() -> Background::Message {
                    auto scanned = std::make_shared<absl::StatusOr<ScanResult>>(log.Scan(request));
                    return [this, scanned] { TakeHead(*scanned); };
                  });
}

void DeliveryShell::TakeHead(const absl::StatusOr<ScanResult>& scanned) {
  head_loading_ = false;
  if (scanned.ok()) return TakeHeadBatch(*scanned);
  if (absl::IsOutOfRange(scanned.status())) return SkipHeadTo(ports_.log.horizon());
  log::Error("reading the log's head failed",
             {{"reason", std::string(scanned.status().message())}});
  read_again_at_ = ports_.clock.Monotonic() + kReadAgainAfter;
}

void DeliveryShell::TakeHeadBatch(const ScanResult& batch) {
  std::vector<DeliveryEngine::Match> matches;
  std::vector<std::string> uids;
  for (const EventRecord& record : batch.records) {
    if (record.kind == RecordKind::kControl) {
      // What comes before a revision is matched before it takes effect.
      engine_->Matched(std::exchange(matches, {}), record.sequence - 1, now(), out_);
      TakeControl(record);
      continue;
    }
    uids.clear();
    const CloudEventAttributes attributes(record);
    index_.head().Match({record.space, record.type, &attributes}, uids);
    for (std::string& uid : uids) {
      const Position position = PositionOf(record, attributes, OrderedBy(uid));
      matches.push_back({std::move(uid), position});
    }
  }
  engine_->Matched(matches, batch.next - 1, now(), out_);
  if (batch.lost) {
    log::Error("a damaged part of the log is skipped",
               {{"reason", std::string(batch.damage().message())}});
    TakeRevisionsUpTo(batch.lost->last);
  }
}

void DeliveryShell::TakeControl(const EventRecord& record) {
  ahead_.erase(record.sequence);
  const auto control = ControlRecord::Parse(record.body);
  if (!control) {
    log::Error("a control record cannot be read", {{"sequence", record.sequence}});
    return;
  }
  const auto stored = ports_.revisions.FindRevision(control->uid, control->match_revision);
  if (stored == nullptr || stored->subscription.http) return;
  TakeRevision(*stored, record.sequence);
  StartWaitingReplays(control->uid, record.sequence);
}

void DeliveryShell::TakeRevision(const StoredRevision& stored, Sequence sequence) {
  const Subscription& subscription = stored.subscription;
  const std::string& uid = subscription.uid;
  if (stored.deleted) {
    index_.Remove(uid);
    catch_up_.Forget(uid);
    if (auto node = subscriptions_.extract(uid)) removed_.insert(std::move(node));
    engine_->Remove(uid, now(), out_);
    return;
  }
  // A record of an unchanged revision comes with changes that do not touch matching.
  const Sequence effective = subscription.effective_sequence;
  if (index_.History(uid) != nullptr && effective != kNoSequence && effective < sequence) return;
  index_.Set(subscription, sequence, engine_->lowest_needed());
  auto& current = subscriptions_[uid];
  if (current == nullptr) current = std::make_shared<const Subscription>(subscription);
  if (engine_->Progress(uid)) return;
  std::optional<Sequence> from;
  if (current->start.resolved != kNoSequence && current->start.resolved < sequence) {
    from = current->start.resolved;
  }
  if (stored.adopted != nullptr) {
    PinStart(uid, stored.adopted->cursor.floor + 1);
    engine_->Restore(uid, SettingsOf(*current), &stored.adopted->cursor, stored.adopted->rows,
                     now(), out_);
    engine_->RestoreDead(uid, stored.adopted->dead, now(), out_);
  } else {
    if (from) PinStart(uid, *from);
    engine_->Add(uid, SettingsOf(*current), from, now(), out_);
  }
}

// Control records that cannot be read take effect all the same: the catalog knows their places.
void DeliveryShell::TakeRevisionsUpTo(Sequence sequence) {
  while (!ahead_.empty() && ahead_.begin()->first <= sequence) {
    const auto [effective, stored] = *ahead_.begin();
    ahead_.erase(ahead_.begin());
    TakeRevision(*stored, effective);
    StartWaitingReplays(stored->subscription.uid, effective);
  }
}

// The log let go what was not even matched yet.
void DeliveryShell::SkipHeadTo(Sequence horizon) {
  const Sequence from = engine_->matched_through() + 1;
  if (from >= horizon) return;
  log::Error("the log's head left the log before it was read",
             {{"from", from}, {"to", horizon - 1}});
  for (const auto& [uid, subscription] : subscriptions_) {
    if (!engine_->Progress(uid)) continue;
    ++stats_.skipped_ranges;
    engine_->Skipped(uid, horizon - 1, now(), out_);
  }
  engine_->Matched({}, horizon - 1, now(), out_);
  TakeRevisionsUpTo(horizon - 1);
}

void DeliveryShell::OrderScan(ScanOrder order) {
  CatchUp::View view;
  if (ReplayOfLane(order.uid).empty()) {
    view.history = index_.History(order.uid);
  } else {
    view.history = index_.NewestForAll(std::string(SubscriptionOfLane(order.uid)));
  }
  view.ordered_by = OrderedBy(order.uid);
  catch_up_.Scan(std::move(order), std::move(view));
}

void DeliveryShell::TakeScan(ScanAnswer answer) {
  if (answer.gone) {
    ++stats_.skipped_ranges;
    log::Warn("events left the log before a subscription came to them",
              {{"uid", answer.uid}, {"from", answer.gone->first}, {"to", answer.gone->second}});
    const std::size_t scans = out_.scans.size();
    engine_->Skipped(answer.uid, answer.gone->second, now(), out_);
    if (out_.scans.size() > scans) return;  // It begins again behind the range.
  }
  engine_->Scanned(answer.uid, answer.positions, answer.next, now(), out_);
}

}  // namespace penstock::broker
