// Reads a segment from its first byte on and tells intact batches from damage.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "services/event-broker/ports/file_system.h"
#include "services/event-broker/storage/segment_index.h"

namespace penstock::broker {

// What identifies a segment's batches.
struct SegmentIdentity {
  LogId log_id{};
  std::uint64_t segment_id = 0;
};

// Damage that an intact batch follows.
struct ScanHole {
  Sequence first = kNoSequence;  // The sequences lost with it; none when first > last.
  Sequence last = kNoSequence;
  std::uint64_t offset = 0;  // Where the damaged bytes are in the file.
  std::uint64_t bytes = 0;
};

struct SegmentScan {
  bool newer_format = false;      // A batch of a newer format was met; the rest was not looked at.
  std::uint64_t valid_end = 0;    // Behind the last intact batch.
  std::uint64_t last_offset = 0;  // Of the last intact batch, if any.
  std::optional<BatchHeader> last;
  std::vector<ScanHole> holes;
};

// Told what a scan meets, in the order of the file.
class ScanVisitor {
 public:
  virtual ~ScanVisitor() = default;
  // `bytes` are the whole intact batch, valid during the call. An error ends the scan.
  virtual absl::Status OnBatch(const BatchHeader& header, std::uint64_t offset,
                               std::string_view bytes) = 0;
  virtual void OnHole(const ScanHole& hole) = 0;
};

// Checks that `bytes` begin with a whole intact batch of the segment. A body cut off by the end of
// `bytes` is damage.
HeaderVerdict CheckBatch(std::string_view bytes, const SegmentIdentity& identity,
                         BatchHeader& header);

// Scans a file piece by piece. Not thread-safe.
class SegmentScanner {
 public:
  // Looks at the first `end` bytes. `file` and `visitor` (null: none) must outlive it.
  SegmentScanner(File& file, std::uint64_t end, const SegmentIdentity& identity,
                 ScanVisitor* visitor);
  ~SegmentScanner();

  // Goes on until about `bytes_max` more bytes are looked at; false at the end. An error means that
  // the file could not be read, never that it is damaged.
  absl::StatusOr<bool> Step(std::uint64_t bytes_max);
  // What was found so far.
  const SegmentScan& scan() const;
  // How far it is.
  std::uint64_t offset() const;

 private:
  class Impl;
  const std::unique_ptr<Impl> impl_;
};

// The same in one go.
absl::StatusOr<SegmentScan> ScanSegment(File& file, std::uint64_t end,
                                        const SegmentIdentity& identity, ScanVisitor* visitor);
// The same; intact batches and holes go into `index`.
absl::StatusOr<SegmentScan> IndexSegment(File& file, std::uint64_t end,
                                         const SegmentIdentity& identity, ActiveIndex& index);

// Where the bytes behind an unsealed segment's last intact batch end: only zeros, which the writer
// sets aside, follow up to `end`. `from` itself when there is nothing else.
absl::StatusOr<std::uint64_t> TailEnd(File& file, std::uint64_t from, std::uint64_t end);

// The offset of the next header in `bytes`, searched from `from` on, of a batch of the segment
// behind `after`. Only the header is checked. npos when there is none.
std::size_t FindNextHeader(std::string_view bytes, std::size_t from,
                           const SegmentIdentity& identity, Sequence after, BatchHeader& header);

}  // namespace penstock::broker
