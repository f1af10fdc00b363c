// One batch: what one commit writes. FORMAT.md gives the bytes.
#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "services/event-broker/domain/event_record.h"
#include "services/event-broker/ports/event_log.h"
#include "services/event-broker/storage/keyed_hash.h"

namespace penstock::broker {

// The newest format this code reads and the one it writes, of every file of the log.
inline constexpr std::uint16_t kLogFormat = 1;
inline constexpr std::size_t kBatchHeaderBytes = 88;
inline constexpr std::size_t kRecordHeaderBytes = 32;
inline constexpr std::uint32_t kBatchMagic = 0x42535001;  // Bytes 01 50 53 42.

// Random, made with the log, in every header: bytes of another log, or in a payload, never pass for
// a batch.
using LogId = std::array<char, 16>;

// The key of the hashes that are stored in footers.
HashKey IndexKeyOf(const LogId& log_id);

struct BatchHeader {
  LogId log_id{};
  std::uint64_t segment_id = 0;  // The first sequence of the segment, as in the file's name.
  std::uint64_t batch_number = 0;
  Sequence first_sequence = kNoSequence;
  std::uint32_t count = 0;
  std::uint32_t body_bytes = 0;
  std::int64_t time_min = 0;  // Microseconds since the Unix epoch.
  std::int64_t time_max = 0;
  std::uint32_t previous_crc = 0;  // The header CRC of the batch before.
  std::uint32_t body_crc = 0;
  std::uint32_t header_crc = 0;  // Set by EncodeBatchHeader and DecodeBatchHeader.

  Sequence last_sequence() const { return first_sequence + count - 1; }
  std::uint64_t total_bytes() const { return kBatchHeaderBytes + body_bytes; }
};

// Writes kBatchHeaderBytes at `out` and sets header.header_crc.
void EncodeBatchHeader(BatchHeader& header, char* out);

enum class HeaderVerdict : std::uint8_t {
  kValid,
  kInvalid,
  kNewer,  // Intact, but written by newer code.
};

// Reads a header from the front of `bytes`. The log and segment ids are for the caller to check.
HeaderVerdict DecodeBatchHeader(std::string_view bytes, BatchHeader& header);

// A record in a batch's bytes; the views are into them.
struct RecordView {
  Sequence sequence = kNoSequence;
  std::int64_t append_time = 0;
  std::uint64_t content_hash = 0;
  RecordKind kind = RecordKind::kEvent;
  std::string_view space, type, source, id, ordering_key, body;
  std::size_t encoded_bytes = 0;

  EventRecord ToRecord(const std::shared_ptr<const void>& owner) const;
};

// Where the first of every so many records of a batch begins in its body, so that one of many is
// found without a walk over all before it. Shared, as batches are; null: not known.
inline constexpr std::uint32_t kRecordsPerMark = 16;
using RecordMarks = std::shared_ptr<const std::vector<std::uint32_t>>;

// Walks over the records of a batch's body.
class RecordCursor {
 public:
  // `body` must outlive the cursor.
  RecordCursor(const BatchHeader& header, std::string_view body);

  // Goes to a record at or shortly before `sequence`. Before the first Next.
  void SkipTo(Sequence sequence, const RecordMarks& marks);

  // False at the end, and when the body does not hold what the header promises.
  bool Next(RecordView& record);
  // True once exactly the promised records were walked over.
  bool complete() const { return index_ == count_ && rest_.empty(); }

 private:
  const Sequence first_;
  const std::uint32_t count_;
  const std::int64_t time_min_;
  std::uint32_t index_ = 0;
  std::string_view rest_;
};

// The bytes that `request` takes in a batch.
std::size_t EncodedBytes(const AppendRequest& request);

// OK when `request` can be stored at all: lengths, kind and the limit.
absl::Status CheckAppendRequest(const AppendRequest& request, std::size_t record_bytes_max);

// The hash stored with a record whose request gives none: CRC32C of the body and its length.
std::uint64_t ContentHashOf(const AppendRequest& request);

// Collects the records of one batch. Used by the writer's thread only.
class BatchBuilder {
 public:
  // Starts an empty batch whose records get sequences from `first` on and append time `time`.
  BatchBuilder(Sequence first, std::int64_t time, std::size_t bytes_expected);

  // Adds a checked request and gives its sequence.
  Sequence Add(const AppendRequest& request, std::uint64_t content_hash);

  std::uint32_t count() const { return count_; }
  std::size_t bytes() const { return bytes_.size(); }

  // Completes `header` (count, sizes, times, checksums) and gives the batch's bytes, header first.
  // Once only.
  std::string Finish(BatchHeader& header);
  RecordMarks TakeMarks() {
    return std::make_shared<const std::vector<std::uint32_t>>(std::move(marks_));
  }

 private:
  const Sequence first_;
  const std::int64_t time_;
  std::uint32_t count_ = 0;
  std::string bytes_;
  std::vector<std::uint32_t> marks_;
};

}  // namespace penstock::broker
