#include "services/event-broker/delivery/event_loader.h"

#include <cstddef>
#include <utility>

namespace penstock::broker {
namespace {

constexpr std::size_t kAheadEvents = 512;
constexpr std::size_t kAheadBytes = 1u << 20;

}  // namespace

bool IsLost(const absl::Status& status) {
  return absl::IsOutOfRange(status) || absl::IsNotFound(status) || absl::IsDataLoss(status);
}

absl::StatusOr<EventRecord> EventLoader::Read(Sequence sequence) {
  const auto known = ahead_.find(sequence);
  if (known != ahead_.end()) return known->second;
  ahead_.clear();
  ScanRequest request;
  request.from = sequence;
  request.events_max = kAheadEvents;
  request.bytes_max = kAheadBytes;
  request.read_bytes_max = kAheadBytes;
  request.filter.control_records = false;
  auto scanned = log_.Scan(request);
  if (scanned.ok()) {
    for (EventRecord& record : scanned->records) {
      ahead_.emplace_hint(ahead_.end(), record.sequence, std::move(record));
    }
    const auto read = ahead_.find(sequence);
    if (read != ahead_.end()) return read->second;
  }
  // Gives the error that fits: gone, damaged, or never there.
  return log_.Read(sequence);
}

}  // namespace penstock::broker
