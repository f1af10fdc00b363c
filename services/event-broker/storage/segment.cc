#include "services/event-broker/storage/segment.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>

#include "libs/base/status.h"

namespace penstock::broker {
namespace {

constexpr std::size_t kOpenSegmentsMax = 64;
constexpr char kSuffix[] = ".seg";
constexpr std::size_t kDigits = 20;

}  // namespace

std::string SegmentFileName(std::uint64_t segment_id) {
  return fmt::format("{:020}{}", segment_id, kSuffix);
}

std::optional<std::uint64_t> ParseSegmentFileName(const std::string& name) {
  if (name.size() != kDigits + 4 || !name.ends_with(kSuffix)) return std::nullopt;
  std::uint64_t id = 0;
  const char* const end = name.data() + kDigits;
  const auto [at, error] = std::from_chars(name.data(), end, id);
  if (error != std::errc() || at != end || id == 0) return std::nullopt;
  return id;
}

Segment::Segment(Folder& folder, LostRanges& lost, const SegmentIdentity& identity,
                 std::shared_ptr<File> file, std::shared_ptr<ActiveIndex> index)
    : folder_(folder),
      lost_(lost),
      identity_(identity),
      name_(SegmentFileName(identity.segment_id)),
      memory_(index),
      file_(std::move(file)),
      index_(std::move(index)) {}

Segment::Segment(Folder& folder, LostRanges& lost, const SegmentIdentity& identity,
                 const SegmentTrailer& trailer, std::uint64_t file_bytes)
    : folder_(folder),
      lost_(lost),
      identity_(identity),
      name_(SegmentFileName(identity.segment_id)),
      trailer_(trailer),
      sealed_bytes_(file_bytes) {}

SegmentSummary Segment::summary() const {
  const std::lock_guard lock(mutex_);
  return trailer_.has_value() ? trailer_->summary : memory_->summary();
}

bool Segment::sealed() const {
  const std::lock_guard lock(mutex_);
  return trailer_.has_value();
}

std::uint64_t Segment::bytes() const {
  const std::lock_guard lock(mutex_);
  return trailer_.has_value() ? sealed_bytes_ : memory_->summary().batches_end;
}

absl::StatusOr<Segment::Handle> Segment::Open() {
  const std::lock_guard lock(mutex_);
  RETURN_IF_ERROR(OpenLocked());
  return Handle{file_, index_};
}

absl::Status Segment::OpenLocked() {
  if (file_ != nullptr && index_ != nullptr) return absl::OkStatus();
  ASSIGN_OR_RETURN(std::shared_ptr<File> file, folder_.Open(name_, OpenMode::kRead));
  auto index = OpenFooterIndex(file, *trailer_);
  if (!index.ok() && !absl::IsDataLoss(index.status())) return index.status();
  if (index.ok()) {
    index_ = *std::move(index);
  } else {
    // The footer is damaged, not the batches: they are indexed afresh, in memory.
    memory_ = std::make_shared<ActiveIndex>(identity_.log_id, identity_.segment_id);
    ASSIGN_OR_RETURN(const SegmentScan scan,
                     IndexSegment(*file, trailer_->summary.batches_end, identity_, *memory_));
    for (const ScanHole& hole : scan.holes) {
      lost_.Add({hole.first, hole.last, name_, "checksum mismatch"});
    }
    index_ = memory_;
  }
  file_ = std::move(file);
  return absl::OkStatus();
}

void Segment::Close() {
  const std::lock_guard lock(mutex_);
  if (!trailer_.has_value()) return;
  file_.reset();
  index_.reset();
  memory_.reset();
}

void Segment::Seal(const SegmentTrailer& trailer, std::uint64_t file_bytes) {
  const std::lock_guard lock(mutex_);
  trailer_ = trailer;
  sealed_bytes_ = file_bytes;
  file_.reset();
  index_.reset();
  memory_.reset();
}

void Segment::ReplaceFile(std::shared_ptr<File> file) {
  const std::lock_guard lock(mutex_);
  file_ = std::move(file);
}

void SegmentSet::PushBack(std::shared_ptr<Segment> segment) {
  const std::lock_guard lock(mutex_);
  segments_.push_back(std::move(segment));
}

void SegmentSet::PopFront() {
  const std::lock_guard lock(mutex_);
  std::erase(open_, segments_.front());
  segments_.erase(segments_.begin());
}

void SegmentSet::PopBack() {
  const std::lock_guard lock(mutex_);
  std::erase(open_, segments_.back());
  segments_.pop_back();
}

std::vector<std::shared_ptr<Segment>> SegmentSet::All() const {
  const std::lock_guard lock(mutex_);
  return segments_;
}

std::shared_ptr<Segment> SegmentSet::Find(Sequence sequence) const {
  const std::lock_guard lock(mutex_);
  const auto at = std::partition_point(segments_.begin(), segments_.end(),
                                       [&](const auto& s) { return s->id() <= sequence; });
  return at == segments_.begin() ? nullptr : *(at - 1);
}

std::shared_ptr<Segment> SegmentSet::Next(std::uint64_t id) const {
  const std::lock_guard lock(mutex_);
  const auto at = std::partition_point(segments_.begin(), segments_.end(),
                                       [&](const auto& s) { return s->id() <= id; });
  return at == segments_.end() ? nullptr : *at;
}

std::optional<std::uint64_t> SegmentSet::first_id() const {
  const std::lock_guard lock(mutex_);
  if (segments_.empty()) return std::nullopt;
  return segments_.front()->id();
}

std::uint64_t SegmentSet::bytes() const {
  std::uint64_t sum = 0;
  for (const auto& segment : All()) sum += segment->bytes();
  return sum;
}

std::size_t SegmentSet::size() const {
  const std::lock_guard lock(mutex_);
  return segments_.size();
}

void SegmentSet::Touch(const std::shared_ptr<Segment>& segment) {
  std::shared_ptr<Segment> oldest;
  {
    const std::lock_guard lock(mutex_);
    if (!open_.empty() && open_.back() == segment) return;
    std::erase(open_, segment);
    open_.push_back(segment);
    if (open_.size() <= kOpenSegmentsMax) return;
    oldest = open_.front();
    open_.erase(open_.begin());
  }
  oldest->Close();
}

}  // namespace penstock::broker
