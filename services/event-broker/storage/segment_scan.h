// Reads a segment from its first byte on and tells intact batches from damage.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
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

struct SegmentScan {
  bool newer_format = false;      // A batch of a newer format was met; the rest was not looked at.
  std::uint64_t valid_end = 0;    // Behind the last intact batch.
  std::uint64_t last_offset = 0;  // Of the last intact batch, if any.
  std::optional<BatchHeader> last;
  // Damage that intact batches follow: first and last lost sequence (empty when first > last).
  std::vector<std::pair<Sequence, Sequence>> holes;
};

// Checks that `bytes` begin with a whole intact batch of the segment. A body cut off by the end of
// `bytes` is damage.
HeaderVerdict CheckBatch(std::string_view bytes, const SegmentIdentity& identity,
                         BatchHeader& header);

// Scans the first `end` bytes of `file`; intact batches and holes go into `index` unless it is
// null. An error means that the file could not be read, never that it is damaged.
absl::StatusOr<SegmentScan> ScanSegment(File& file, std::uint64_t end,
                                        const SegmentIdentity& identity, ActiveIndex* index);

// The offset of the next header in `bytes`, searched from `from` on, of a batch of the segment
// behind `after`. Only the header is checked. npos when there is none.
std::size_t FindNextHeader(std::string_view bytes, std::size_t from,
                           const SegmentIdentity& identity, Sequence after, BatchHeader& header);

}  // namespace penstock::broker
