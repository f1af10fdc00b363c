#include "services/event-broker/storage/log_reader.h"

#include <fmt/format.h>

#include <algorithm>

#include "libs/base/callback_guard.h"
#include "libs/base/status.h"

namespace penstock::broker {
namespace {

bool Lists(const std::vector<std::string>& names, std::string_view name) {
  return names.empty() || std::find(names.begin(), names.end(), name) != names.end();
}

bool Passes(const ScanFilter& filter, const RecordView& record) {
  if (record.kind == RecordKind::kControl) return filter.control_records;
  return Lists(filter.spaces, record.space) && Lists(filter.types, record.type) &&
         (filter.ordering_key.empty() || filter.ordering_key == record.ordering_key);
}

}  // namespace

// Gathers the records of one scan up to its limits.
class LogReader::Collector {
 public:
  Collector(const ScanRequest& request, Sequence last) : request_(request), last_(last) {}

  // Takes the records of a batch from `from` on; gives the sequence to go on with.
  Sequence Take(const BatchHeader& header, std::string_view bytes,
                const std::shared_ptr<const void>& owner, Sequence from,
                const RecordMarks& marks = nullptr) {
    RecordCursor cursor(header, bytes.substr(kBatchHeaderBytes, header.body_bytes));
    cursor.SkipTo(from, marks);
    RecordView record;
    while (cursor.Next(record)) {
      if (record.sequence < from) continue;
      if (record.sequence > last_) return record.sequence;
      if (!Passes(request_.filter, record)) continue;
      if (!result.records.empty() && (result.records.size() >= request_.events_max ||
                                      bytes_ + record.encoded_bytes > request_.bytes_max)) {
        full_ = true;
        return record.sequence;
      }
      bytes_ += record.encoded_bytes;
      result.records.push_back(record.ToRecord(owner));
    }
    return header.last_sequence() + 1;
  }

  void CountRead(std::uint64_t bytes) { read_ += bytes; }
  bool full() const { return full_ || read_ >= request_.read_bytes_max; }
  bool batch_limit_reached() const { return full_; }
  Sequence last() const { return last_; }
  const ScanFilter& filter() const { return request_.filter; }

  ScanResult result;

 private:
  const ScanRequest& request_;
  const Sequence last_;
  std::size_t bytes_ = 0;
  std::uint64_t read_ = 0;
  bool full_ = false;
};

Sequence LogReader::horizon() const {
  return segments_.first_id().value_or(head_.load(std::memory_order_acquire) + 1);
}

absl::Status LogReader::CheckHorizon(Sequence sequence) const {
  const Sequence first = horizon();
  if (sequence >= first) return absl::OkStatus();
  return absl::OutOfRangeError(
      fmt::format("sequence {} is no longer stored; the log begins at {}", sequence, first));
}

absl::StatusOr<ScanResult> LogReader::Scan(const ScanRequest& request) {
  const Sequence last = std::min(request.to, head_.load(std::memory_order_acquire));
  Sequence from = request.from;
  RETURN_IF_ERROR(CheckHorizon(from));
  Collector collector(request, last);
  while (from <= last && !collector.full()) {
    if (auto lost = lost_.FirstIn(from, from)) {
      from = lost->last + 1;
      collector.result.lost = std::move(lost);
      break;
    }
    if (const auto batch = cache_.Find(from)) {
      from = collector.Take(batch->header, *batch->bytes, batch->bytes, from, batch->marks);
      continue;
    }
    const auto next = ScanFile(from, collector);
    if (!next.ok()) {
      // What was read before it stands; the next scan begins with the error.
      if (from == request.from) return next.status();
      break;
    }
    from = *next;
  }
  collector.result.next = from;
  return std::move(collector.result);
}

std::optional<ScanResult> LogReader::ScanCached(const ScanRequest& request) const {
  const Sequence last = std::min(request.to, head_.load(std::memory_order_acquire));
  Sequence from = request.from;
  if (from < horizon()) return std::nullopt;
  Collector collector(request, last);
  while (from <= last && !collector.full()) {
    const auto batch = cache_.Find(from);
    if (!batch.has_value()) {
      if (from == request.from) return std::nullopt;
      break;
    }
    from = collector.Take(batch->header, *batch->bytes, batch->bytes, from, batch->marks);
  }
  collector.result.next = from;
  return std::move(collector.result);
}

absl::StatusOr<Sequence> LogReader::ScanFile(Sequence from, Collector& collector) {
  AssertMayBlock("reading the event log");
  const std::shared_ptr<Segment> segment = segments_.Find(from);
  if (segment == nullptr) {
    RETURN_IF_ERROR(CheckHorizon(from));
    return absl::InternalError(fmt::format("no segment holds sequence {}", from));
  }
  ASSIGN_OR_RETURN(const Segment::Handle handle, segment->Open());
  segments_.Touch(segment);
  ScanFilter filter = collector.filter();
  if (!filter.ordering_key.empty()) {
    const auto possible =
        handle.index->MayHoldKey(OrderingKeyHash(index_key_, filter.ordering_key));
    // No event here has the key; a type that nobody uses leaves the blocks with control records.
    if (possible.ok() && !*possible) filter.types = {std::string(1, '\0')};
  }
  const std::optional<BlockSpan> span = handle.index->FirstMatching(from, filter);
  // Everything up to last() was in the index before it became visible, so a segment without a
  // match has none up to there.
  Sequence target = collector.last() + 1;
  if (span.has_value()) {
    target = std::max(from, span->first);
  } else if (const auto next = segments_.Next(segment->id())) {
    target = std::min(target, next->id());
  }
  if (target > from) {
    if (const auto lost = lost_.FirstIn(from, target - 1)) return std::max(from, lost->first);
  }
  if (!span.has_value() || target > collector.last()) return target;
  collector.CountRead(span->bytes);
  return TakeBlock(*segment, *handle.file, *span, target, collector);
}

absl::StatusOr<Sequence> LogReader::TakeBlock(const Segment& segment, File& file,
                                              const BlockSpan& span, Sequence from,
                                              Collector& collector) {
  auto buffer = std::make_shared<std::string>(span.bytes, '\0');
  const auto got = file.ReadAt(span.offset, buffer->data(), buffer->size());
  if (!got.ok()) {
    if (!IsUnreadable(span.first)) return got.status();
    lost_.Add({span.first, span.last, segment.name(), std::string(got.status().message())});
    return from;
  }
  ForgetFailures(span.first);
  buffer->resize(*got);
  const std::string_view bytes = *buffer;
  Sequence expected = span.first;
  std::size_t at = 0;
  while (expected <= span.last && expected <= collector.last()) {
    BatchHeader header;
    const HeaderVerdict verdict =
        CheckBatch(bytes.substr(std::min(at, bytes.size())), segment.identity(), header);
    if (verdict == HeaderVerdict::kValid && header.first_sequence == expected) {
      expected = header.last_sequence() + 1;
      if (expected > from) {
        from = collector.Take(header, bytes.substr(at), buffer, from);
        if (collector.batch_limit_reached() || from < expected) return from;
      }
      at += header.total_bytes();
      continue;
    }
    at =
        FindNextHeader(bytes, std::min(at + 1, bytes.size()), segment.identity(), expected, header);
    const Sequence next = at == std::string_view::npos ? span.last + 1 : header.first_sequence;
    lost_.Add({expected, next - 1, segment.name(), "checksum mismatch"});
    if (from < next) return std::max(from, expected);
    expected = next;
  }
  return std::max(from, expected);
}

void LogReader::ForgetFailures(Sequence block) {
  const std::lock_guard lock(failures_mutex_);
  failures_.erase(block);
}

bool LogReader::IsUnreadable(Sequence block) {
  const std::lock_guard lock(failures_mutex_);
  if (++failures_[block] < kReadsMax) return false;
  failures_.erase(block);
  return true;
}

absl::StatusOr<EventRecord> LogReader::Read(Sequence sequence) {
  if (auto cached = ReadCached(sequence)) return *std::move(cached);
  ASSIGN_OR_RETURN(ScanResult result, Scan({.from = sequence, .to = sequence, .events_max = 1}));
  RETURN_IF_ERROR(result.damage());
  if (result.records.empty()) {
    return absl::NotFoundError(fmt::format("there is no event with sequence {}", sequence));
  }
  return std::move(result.records.front());
}

std::optional<EventRecord> LogReader::ReadCached(Sequence sequence) const {
  if (sequence > head_.load(std::memory_order_acquire)) return std::nullopt;
  auto result = ScanCached({.from = sequence, .to = sequence, .events_max = 1});
  if (!result.has_value() || result->records.empty()) return std::nullopt;
  return std::move(result->records.front());
}

absl::StatusOr<Sequence> LogReader::FirstAtOrAfter(std::int64_t time) {
  AssertMayBlock("searching the event log by time");
  const Sequence head = head_.load(std::memory_order_acquire);
  for (const std::shared_ptr<Segment>& segment : segments_.All()) {
    const SegmentSummary summary = segment->summary();
    if (summary.empty() || summary.time_max < time) continue;
    ASSIGN_OR_RETURN(const Segment::Handle handle, segment->Open());
    segments_.Touch(segment);
    Sequence from = segment->id();
    while (const auto span = handle.index->FirstAtOrAfter(from, time)) {
      for (from = std::max(from, span->first); from <= span->last && from <= head;) {
        ASSIGN_OR_RETURN(const ScanResult result,
                         Scan({.from = from, .to = span->last, .events_max = 4096}));
        for (const EventRecord& record : result.records) {
          if (ToUnixMicros(record.append_time) >= time) return record.sequence;
        }
        from = result.next;
      }
      if (from > head) break;
      from = std::max(from, span->last + 1);
    }
  }
  return head + 1;
}

absl::StatusOr<std::vector<EventRecord>> LogReader::FindById(const FindByIdRequest& request) {
  AssertMayBlock("searching the event log by id");
  const std::uint64_t hash = IdHash(index_key_, request.space, request.id);
  std::vector<EventRecord> found;
  std::vector<std::shared_ptr<Segment>> segments = segments_.All();
  std::reverse(segments.begin(), segments.end());
  for (const std::shared_ptr<Segment>& segment : segments) {
    ASSIGN_OR_RETURN(const Segment::Handle handle, segment->Open());
    segments_.Touch(segment);
    const auto candidates = handle.index->FindId(hash);
    if (!candidates.ok()) {
      if (!absl::IsDataLoss(candidates.status())) return candidates.status();
      RETURN_IF_ERROR(FindByReading(*segment, request, found));
    } else {
      for (const Sequence sequence : *candidates) {
        if (found.size() >= request.matches_max) break;
        auto record = Read(sequence);
        // A damaged event cannot be shown; others with its id can.
        if (!record.ok() || record->space != request.space || record->id != request.id) continue;
        if (request.source.has_value() && record->source != *request.source) continue;
        found.push_back(*std::move(record));
      }
    }
    if (found.size() >= request.matches_max) break;
  }
  if (found.size() > request.matches_max) found.resize(request.matches_max);
  return found;
}

absl::Status LogReader::FindByReading(const Segment& segment, const FindByIdRequest& request,
                                      std::vector<EventRecord>& found) {
  const std::size_t before = found.size();
  const Sequence last = segment.summary().last_sequence;
  for (Sequence from = segment.id(); from <= last;) {
    ASSIGN_OR_RETURN(const ScanResult result,
                     Scan({.from = from,
                           .to = last,
                           .events_max = 4096,
                           .filter = {.spaces = {request.space}, .control_records = false}}));
    for (const EventRecord& record : result.records) {
      if (record.id != request.id) continue;
      if (request.source.has_value() && record.source != *request.source) continue;
      found.push_back(record.Detached());
    }
    if (result.next <= from) break;
    from = result.next;
  }
  std::reverse(found.begin() + static_cast<std::ptrdiff_t>(before), found.end());
  return absl::OkStatus();
}

}  // namespace penstock::broker
