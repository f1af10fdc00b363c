// One segment file and its index, and the set of them that readers and the writer share.
#pragma once

#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "services/event-broker/ports/file_system.h"
#include "services/event-broker/storage/lost_ranges.h"
#include "services/event-broker/storage/segment_footer.h"
#include "services/event-broker/storage/segment_scan.h"

namespace penstock::broker {

// "00000000000000000001.seg" for the segment that begins with sequence 1.
std::string SegmentFileName(std::uint64_t segment_id);
// The segment's id, or nothing when `name` is not a segment's.
std::optional<std::uint64_t> ParseSegmentFileName(const std::string& name);

// A segment that is being written has its index in memory; a sealed one opens its file and footer
// when first read. Thread-safe. `folder` and `lost` must outlive it.
class Segment {
 public:
  // What a reader holds while it reads: stays usable when the segment is closed or unlinked
  // meanwhile.
  struct Handle {
    std::shared_ptr<File> file;
    std::shared_ptr<const SegmentIndex> index;
  };

  // A segment whose index is in memory: the active one, or a damaged one that has no footer.
  Segment(Folder& folder, LostRanges& lost, const SegmentIdentity& identity,
          std::shared_ptr<File> file, std::shared_ptr<ActiveIndex> index);
  // A sealed segment.
  Segment(Folder& folder, LostRanges& lost, const SegmentIdentity& identity,
          const SegmentTrailer& trailer, std::uint64_t file_bytes);

  std::uint64_t id() const { return identity_.segment_id; }
  const std::string& name() const { return name_; }
  const SegmentIdentity& identity() const { return identity_; }

  SegmentSummary summary() const;
  bool sealed() const;
  // Bytes of the file, as far as they are durable.
  std::uint64_t bytes() const;

  absl::StatusOr<Handle> Open();
  // Lets go of a sealed segment's file and index; the next Open gets them again.
  void Close();

  // Turns the active segment into a sealed one, once its footer is durable.
  void Seal(const SegmentTrailer& trailer, std::uint64_t file_bytes);
  // Replaces the active segment's file handle.
  void ReplaceFile(std::shared_ptr<File> file);

 private:
  absl::Status OpenLocked();

  Folder& folder_;
  LostRanges& lost_;
  const SegmentIdentity identity_;
  const std::string name_;
  mutable std::mutex mutex_;
  std::optional<SegmentTrailer> trailer_;  // Set once sealed.
  std::uint64_t sealed_bytes_ = 0;
  std::shared_ptr<ActiveIndex> memory_;  // Set while not sealed, or when the footer is damaged.
  std::shared_ptr<File> file_;
  std::shared_ptr<const SegmentIndex> index_;
};

// All segments by rising id; the last may be the active one. Thread-safe.
class SegmentSet {
 public:
  void PushBack(std::shared_ptr<Segment> segment);
  // Removes the oldest.
  void PopFront();
  // Removes the newest.
  void PopBack();

  std::vector<std::shared_ptr<Segment>> All() const;
  // The segment that holds `sequence` if any does: the last whose id is not above it.
  std::shared_ptr<Segment> Find(Sequence sequence) const;
  // The segment behind `id`, or null.
  std::shared_ptr<Segment> Next(std::uint64_t id) const;
  // The first segment's id, or nothing.
  std::optional<std::uint64_t> first_id() const;
  std::uint64_t bytes() const;
  std::size_t size() const;

  // Notes that `segment` is being read, and closes the one that has not been for longest when too
  // many are open.
  void Touch(const std::shared_ptr<Segment>& segment);

 private:
  mutable std::mutex mutex_;
  std::vector<std::shared_ptr<Segment>> segments_;
  std::vector<std::shared_ptr<Segment>> open_;  // Most recently used last.
};

}  // namespace penstock::broker
