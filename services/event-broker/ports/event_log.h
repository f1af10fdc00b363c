// The durable, ordered, deduplicating log of events, whatever stores it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "libs/base/time.h"
#include "services/event-broker/domain/event_record.h"

namespace penstock::broker {

// Reasons (ReasonOf) of UNAVAILABLE answers.
inline constexpr char kReasonDiskFull[] = "DISK_FULL";      // Goes away when space is back.
inline constexpr char kReasonReadOnly[] = "READ_ONLY";      // The folder cannot be written.
inline constexpr char kReasonLogFailed[] = "LOG_FAILED";    // Until Reopen() succeeds.
inline constexpr char kReasonLogStopped[] = "LOG_STOPPED";  // After Stop().
// Reasons of RESOURCE_EXHAUSTED answers.
inline constexpr char kReasonQueueFull[] = "APPEND_QUEUE_FULL";
inline constexpr char kReasonPinLimit[] = "PIN_LIMIT";  // Events of the space wait for too long.

// A record to append. Limits: each attribute 65,535 bytes, the whole record 1.25 MiB by default.
struct AppendRequest {
  RecordKind kind = RecordKind::kEvent;
  std::string space;
  std::string type;
  std::string source;
  std::string id;  // With space and source the key of deduplication; empty: never a duplicate.
  std::string ordering_key;
  SharedBytes body;
  // Tells contents apart for `content_differs`; stored with the record. Zero: derived from the
  // body, which counts two serializations of one event as different. Give a hash of the canonical
  // content instead.
  std::uint64_t content_hash = 0;
  // What a delivery leads to is taken also while publishes to its space are refused: the
  // subscription that they wait for could not go on otherwise.
  bool is_internal = false;
};

enum class AppendVerdict : std::uint8_t {
  kAccepted,   // Stored durably under `sequence`.
  kDuplicate,  // The same space, source and id is stored durably under `sequence` already.
  kFailed,     // Not known to be stored; `status` says why.
};

struct AppendResult {
  AppendVerdict verdict = AppendVerdict::kFailed;
  Sequence sequence = kNoSequence;
  bool content_differs = false;  // Only with kDuplicate.
  absl::Status status;           // OK unless kFailed.
};

// One result per request, in their order.
using AppendDone = std::function<void(std::vector<AppendResult>)>;

// What an acknowledgement means.
enum class Durability : std::uint8_t { kFsynced, kReplicated };

// Exact filter of a scan: a record passes when it passes every part. Skips whole blocks by index.
struct ScanFilter {
  std::vector<std::string> spaces;  // Empty: all. Control records pass whatever is listed.
  std::vector<std::string> types;   // Empty: all. Control records pass whatever is listed.
  std::string ordering_key;         // Empty: all. Control records pass whatever is given.
  bool control_records = true;      // False: no control records.
};

struct ScanRequest {
  Sequence from = 1;
  Sequence to = kMaxSequence;  // Inclusive.
  std::size_t events_max = 256;
  std::size_t bytes_max = 1 << 20;         // Of records; one record is always given.
  std::size_t read_bytes_max = 16u << 20;  // Of what is read to find them; then the scan pauses.
  ScanFilter filter;
};

// A range of sequences that cannot be read.
struct LostRange {
  Sequence first = kNoSequence;
  Sequence last = kNoSequence;
  std::string file;
  std::string reason;

  friend bool operator==(const LostRange&, const LostRange&) = default;
};

struct ScanResult {
  std::vector<EventRecord> records;  // By rising sequence.
  Sequence next = kNoSequence;  // Where to go on. Above the head: everything there was is read.
  // Set when a damaged range ended this scan: `records` precede it and `next` follows it.
  std::optional<LostRange> lost;

  // DATA_LOSS naming range and file when `lost` is set, else OK.
  absl::Status damage() const;
};

struct FindByIdRequest {
  std::string space;
  std::string id;
  std::optional<std::string> source;
  std::size_t matches_max = 16;
};

// Who holds a pin, for people, and whose publishes may be refused for it.
struct PinOwner {
  std::string label;  // Like "subscription billing", "replay 17 of billing", "matcher".
  std::string space;  // Empty: of no space; then nothing is ever refused for it.
};

// How much of what a pin may hold it does hold.
struct PinUse {
  PinOwner owner;
  Sequence sequence = kNoSequence;
  std::uint64_t bytes = 0;  // Stored from there on.
  Microseconds age{0};      // Of the newest event in the segment that holds the sequence.
  double share = 0;  // Of the limit that is nearer; from 1 on the pin holds nothing any more.
};

// Events that retention removed though a pin needed them.
struct SkippedRange {
  PinOwner owner;
  Sequence first = kNoSequence;
  Sequence last = kNoSequence;
};

// As the last check found it; see the log's owner for how often that is.
struct PinHealth {
  std::optional<PinUse> worst;  // The one with the highest share.
  std::vector<std::string> refused_spaces;
  std::uint64_t refused_events = 0;  // Since the start.
  std::uint64_t skipped_ranges = 0;  // Since the start.
};

// What re-reading sealed segments has found since the start.
struct ScrubHealth {
  std::uint64_t bytes_read = 0;
  std::uint64_t segments_verified = 0;
  std::uint64_t damaged_ranges = 0;
  std::uint64_t damaged_footers = 0;  // Their events are intact and indexed in memory.
  std::uint64_t read_errors = 0;
  std::uint64_t passes = 0;  // Over all segments.
  std::optional<WallTime> last_pass_ended;
};

// The log's state, for readiness, metrics and the console.
struct LogHealth {
  bool writable = true;
  absl::Status status;             // Why not writable; OK otherwise.
  std::vector<LostRange> lost;     // Damaged ranges known so far, by first sequence.
  std::vector<std::string> notes;  // What recovery did at the last open, one sentence each.
  std::uint64_t torn_tails_cut = 0;
  std::uint64_t footers_rebuilt = 0;
  std::uint64_t stored_bytes = 0;
  std::uint64_t segments = 0;
  std::uint64_t append_queue_events = 0;
  std::uint64_t append_queue_bytes = 0;
  std::uint64_t dedup_entries = 0;
  double dedup_window_seconds = 0;  // The window really kept.
  PinHealth pins;
  ScrubHealth scrub;
};

// Keeps records from `sequence` on from being removed by retention while it lives, within the log's
// limits for pins. Beyond them they go: then horizon() is above `sequence`, and what lies between
// is gone for the holder. Must not outlive its log.
class LogPin {
 public:
  virtual ~LogPin() = default;
  // Moves the pin forward; backwards is ignored. Thread-safe.
  virtual void MoveTo(Sequence sequence) = 0;
  virtual Sequence sequence() const = 0;
};

// Ends the registration of a listener when destroyed, after a running call of it has returned.
// Must not be destroyed inside the listener, and not outlive its log.
class HeadListener {
 public:
  virtual ~HeadListener() = default;
};

// Thread-safe throughout.
class EventLog {
 public:
  virtual ~EventLog() = default;

  // Queues `requests` and returns at once; `done` runs once they are durable, on the log's own
  // thread: it must not block. Calls of `done` come in log order. When the answer is an error
  // (RESOURCE_EXHAUSTED for a full queue, UNAVAILABLE with one of the reasons above), nothing was
  // queued and `done` never runs. A single unacceptable request (too large, or of a space whose
  // publishes are refused) fails alone, in its result. Never blocks.
  [[nodiscard]] virtual absl::Status Append(std::vector<AppendRequest> requests,
                                            AppendDone done) = 0;

  virtual Durability durability() const = 0;

  // The last durable sequence; 0 when nothing was ever stored.
  virtual Sequence head() const = 0;
  // The first sequence that is still stored; head() + 1 when nothing is.
  virtual Sequence horizon() const = 0;

  // Calls `listener` with the new head after every commit, on the log's own thread, before the
  // acknowledgements of that commit: it must not block.
  [[nodiscard]] virtual std::unique_ptr<HeadListener> OnHeadAdvanced(
      std::function<void(Sequence head)> listener) = 0;

  // Reads forward. OUT_OF_RANGE below the horizon, naming it: exactly [from, horizon() - 1] is
  // gone. Damage comes in the result. May block.
  virtual absl::StatusOr<ScanResult> Scan(const ScanRequest& request) = 0;
  // The same from the cache of recent batches only; nothing when `from` is not in it. Never blocks.
  virtual std::optional<ScanResult> ScanCached(const ScanRequest& request) = 0;
  // One record. NOT_FOUND, OUT_OF_RANGE below the horizon, or DATA_LOSS. May block.
  virtual absl::StatusOr<EventRecord> Read(Sequence sequence) = 0;
  // The same from the cache of recent batches only. Never blocks.
  virtual std::optional<EventRecord> ReadCached(Sequence sequence) = 0;
  // The lowest sequence whose append time is at or after `time`; head() + 1 when there is none. May
  // block.
  virtual absl::StatusOr<Sequence> FirstAtOrAfter(WallTime time) = 0;
  // Events by id, newest first; empty when there is none. May block.
  virtual absl::StatusOr<std::vector<EventRecord>> FindById(const FindByIdRequest& request) = 0;

  // Pins everything from `sequence` on (at least from the horizon on).
  [[nodiscard]] virtual std::unique_ptr<LogPin> Pin(Sequence sequence, const PinOwner& owner) = 0;
  [[nodiscard]] std::unique_ptr<LogPin> Pin(Sequence sequence) { return Pin(sequence, {}); }

  virtual LogHealth Health() const = 0;
  // After a failed write or sync: verifies what is stored and accepts appends again. May block.
  virtual absl::Status Reopen() = 0;
  // Refuses new appends, completes the queued ones, ends the log's thread. Reads go on working.
  // Idempotent. Blocks.
  virtual void Stop() = 0;
};

}  // namespace penstock::broker
