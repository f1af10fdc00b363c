// Appends batches to the active segment, seals it when it is full and begins the next.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "services/event-broker/ports/file_system.h"
#include "services/event-broker/storage/log_folder.h"

namespace penstock::broker {

// Used by one thread at a time. An error of RESOURCE_EXHAUSTED means that the disk is full and that
// the file is back at its last durable offset, so that a later try may succeed. Any other error is
// final: nothing may be written until Reopen() succeeds.
class SegmentWriter {
 public:
  // `folder`, `segments` and `lost` must outlive the writer. For `segment_bytes` and
  // `set_aside_bytes` see SegmentLogOptions.
  SegmentWriter(Folder& folder, SegmentSet& segments, LostRanges& lost, const LogId& log_id,
                std::uint64_t segment_bytes, std::uint64_t set_aside_bytes, WritePosition position);

  Sequence next_sequence() const { return position_.next_sequence; }

  // Makes sure that there is an active segment with room, sealing the full one.
  absl::Status Prepare();
  // A header with everything that BatchBuilder::Finish does not set. After Prepare().
  BatchHeader NextHeader() const;
  // Writes the batch and makes it durable. After success the index and the set know it.
  absl::Status Commit(const BatchHeader& header, const std::string& bytes);

  // Leaves out the sequences up to `floor`, which were given out before and are lost.
  absl::Status SkipTo(Sequence floor);

  // Cuts off what the failed write may have left, verifies the active segment from its first byte
  // and syncs it.
  absl::Status Reopen();

 private:
  absl::Status Seal();
  absl::Status Begin();
  // Sets space aside for `size` more bytes and those that follow them soon.
  absl::Status SetAside(std::uint64_t size);
  // What to write behind a batch of `size` bytes, if anything: the first write into a block that is
  // only set aside changes the file system's metadata, and each sync then waits for the journal.
  // Written once for many small batches; a large one carries that cost itself.
  std::string_view ZerosBehind(std::uint64_t size);
  void ForgetSpace();
  // Undoes a write that found no space. Gives `why` back, or the error that makes the failure
  // final.
  absl::Status TakeBack(absl::Status why);

  Folder& folder_;
  SegmentSet& segments_;
  LostRanges& lost_;
  const LogId log_id_;
  const std::uint64_t segment_bytes_;
  const std::uint64_t set_aside_bytes_;
  WritePosition position_;
  std::uint64_t allocated_ = 0;  // The file is at least so long; zeros behind the durable offset.
  std::uint64_t zeroed_ = 0;     // Written so far, with batches and then zeros, or 0.
  bool roll_ = false;            // The next batch begins a segment whatever the size.
};

}  // namespace penstock::broker
