#include "services/function-manager/domain/change_feed.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "libs/base/status.h"

namespace penstock::functions {

FunctionWatch::FunctionWatch(FunctionStore& store, PageLimits limits, std::int64_t from_revision,
                             WatchSink sink)
    : store_(store), limits_(limits), sink_(std::move(sink)) {
  place_.cursor = from_revision;
}

void FunctionWatch::OnCommit() {
  {
    const std::lock_guard lock(mutex_);
    if (is_ended_) return;
    if (is_busy_ || is_refused_) {
      is_dirty_ = true;
      return;
    }
    is_busy_ = true;
  }
  StartRead();
}

void FunctionWatch::OnWritable() {
  {
    const std::lock_guard lock(mutex_);
    if (is_ended_) return;
    if (is_busy_) {
      is_writable_ = true;
      return;
    }
    if (!is_refused_) return;
    is_refused_ = false;
    is_busy_ = true;
  }
  // Reads again instead of offering what was refused: converting a batch is too long for a
  // reaction.
  StartRead();
}

void FunctionWatch::Detach() {
  const std::lock_guard lock(mutex_);
  is_ended_ = true;
}

void FunctionWatch::End(const absl::Status& status) {
  {
    const std::lock_guard lock(mutex_);
    if (is_ended_) return;
    is_ended_ = true;
  }
  sink_.end(status);
}

absl::Status FunctionWatch::ReadStep(FunctionReader& reader, const Place& from, PageLimits limits,
                                     Step* step) {
  ASSIGN_OR_RETURN(const std::int64_t revision, reader.Revision());
  ASSIGN_OR_RETURN(const std::int64_t resumable_from, reader.ResumableFrom());
  Place place = from;
  const std::int64_t continues = place.is_in_snapshot ? place.snapshot_from : place.cursor;
  if (continues < resumable_from || continues > revision) {
    place = Place{.cursor = 0, .is_first = true, .is_in_snapshot = true, .snapshot_from = revision};
    step->batch.is_snapshot_begin = true;
  }
  ASSIGN_OR_RETURN(
      ChangePage page,
      reader.Changes({.after = place.cursor,
                      .deletions_after = place.is_in_snapshot
                                             ? std::max(place.cursor, place.snapshot_from)
                                             : place.cursor,
                      .limits = limits}));
  step->has_more = page.has_more;
  step->batch.changes = std::move(page.changes);
  step->batch.is_snapshot_end = place.is_in_snapshot && !page.has_more;
  if (!place.is_in_snapshot || !page.has_more) step->batch.revision = page.revision;
  step->next = Place{.cursor = page.revision,
                     .is_first = false,
                     .is_in_snapshot = place.is_in_snapshot && page.has_more,
                     .snapshot_from = place.snapshot_from};
  return absl::OkStatus();
}

void FunctionWatch::StartRead() {
  Place from;
  {
    const std::lock_guard lock(mutex_);
    from = place_;
    is_dirty_ = false;
    is_writable_ = false;
  }
  auto step = std::make_shared<Step>();
  store_.Read(
      [step, from, limits = limits_](FunctionReader& reader) {
        return ReadStep(reader, from, limits, step.get());
      },
      [self = shared_from_this(), step](absl::Status status) { self->OnRead(status, *step); });
}

void FunctionWatch::OnRead(const absl::Status& status, const Step& step) {
  if (!status.ok()) {
    return End(absl::UnavailableError(
        fmt::format("the functions cannot be read: {}", std::string(status.message()))));
  }
  bool is_first = false;
  {
    const std::lock_guard lock(mutex_);
    if (is_ended_) return;
    is_first = place_.is_first;
  }
  // The first answer is given even when it is empty: it says that the watcher has everything.
  const WatchBatch& batch = step.batch;
  const bool is_silent =
      batch.changes.empty() && !batch.is_snapshot_begin && !batch.is_snapshot_end && !is_first;
  const bool is_taken = is_silent || sink_.offer(batch);
  {
    const std::lock_guard lock(mutex_);
    if (is_taken) {
      place_ = step.next;
      is_busy_ = step.has_more || is_dirty_;
    } else {
      is_refused_ = !is_writable_;
      is_busy_ = is_writable_;
    }
    if (is_ended_ || !is_busy_) return;
  }
  StartRead();
}

ChangeFeed::ChangeFeed(FunctionStore& store, Limits limits) : store_(store), limits_(limits) {
  store_.SetListener([this](std::int64_t) { Notify(); });
}

ChangeFeed::~ChangeFeed() { Close(absl::UnavailableError("the function-manager is stopping")); }

absl::StatusOr<std::shared_ptr<FunctionWatch>> ChangeFeed::Open(std::int64_t from_revision,
                                                                WatchSink sink) {
  if (from_revision < 0) {
    return FieldError("from_revision", fmt::format("is {}: expected 0 or more", from_revision));
  }
  auto watch =
      std::make_shared<FunctionWatch>(store_, limits_.batch, from_revision, std::move(sink));
  const std::lock_guard lock(mutex_);
  if (is_closed_) return absl::UnavailableError("the function-manager is stopping");
  if (watches_.size() >= limits_.watches_max) {
    return absl::ResourceExhaustedError(
        fmt::format("there are {} watches already: no more are served", watches_.size()));
  }
  watches_.insert(watch);
  return watch;
}

void ChangeFeed::Remove(const std::shared_ptr<FunctionWatch>& watch) {
  watch->Detach();
  const std::lock_guard lock(mutex_);
  watches_.erase(watch);
}

void ChangeFeed::Notify() {
  std::vector<std::shared_ptr<FunctionWatch>> watches;
  {
    const std::lock_guard lock(mutex_);
    watches.assign(watches_.begin(), watches_.end());
  }
  for (const auto& watch : watches) watch->OnCommit();
}

void ChangeFeed::Close(const absl::Status& status) {
  std::set<std::shared_ptr<FunctionWatch>> watches;
  {
    const std::lock_guard lock(mutex_);
    is_closed_ = true;
    watches.swap(watches_);
  }
  for (const auto& watch : watches) watch->End(status);
}

std::size_t ChangeFeed::size() const {
  const std::lock_guard lock(mutex_);
  return watches_.size();
}

}  // namespace penstock::functions
