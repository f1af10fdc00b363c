#include "services/event-broker/storage/segment_index.h"

#include <algorithm>
#include <bit>

#include "services/event-broker/storage/bloom_filter.h"
#include "services/event-broker/storage/segment_footer.h"
#include "services/event-broker/storage/wire.h"

namespace penstock::broker {
namespace {
constexpr std::size_t kBucketsMin = 1024;
}  // namespace

std::uint64_t IdHash(const HashKey& key, std::string_view space, std::string_view id) {
  return HashParts(key, {space, id}).low;
}

std::uint64_t OrderingKeyHash(const HashKey& key, std::string_view ordering_key) {
  return HashParts(key, {ordering_key}).low;
}

ActiveIndex::ActiveIndex(const LogId& log_id, std::uint64_t segment_id)
    : log_id_(log_id), key_(IndexKeyOf(log_id)), buckets_(kBucketsMin) {
  summary_.segment_id = segment_id;
}

void ActiveIndex::AddBatch(const BatchHeader& header, std::uint64_t offset,
                           std::string_view bytes) {
  const std::lock_guard lock(mutex_);
  if (summary_.empty()) {
    summary_.first_sequence = header.first_sequence;
    summary_.first_batch = header.batch_number;
    summary_.time_min = header.time_min;
    summary_.time_max = header.time_max;
  }
  summary_.last_sequence = header.last_sequence();
  summary_.events += header.count;
  summary_.time_min = std::min(summary_.time_min, header.time_min);
  summary_.time_max = std::max(summary_.time_max, header.time_max);
  summary_.last_batch = header.batch_number;
  summary_.last_batch_crc = header.header_crc;
  summary_.batches_end = offset + header.total_bytes();
  blocks_.AddBatch(header, offset);
  RecordCursor cursor(header, bytes.substr(kBatchHeaderBytes));
  RecordView record;
  while (cursor.Next(record)) {
    blocks_.AddRecord(record);
    if (record.kind == RecordKind::kEvent && !record.id.empty()) {
      AddId(IdHash(key_, record.space, record.id),
            static_cast<std::uint32_t>(record.sequence - summary_.segment_id));
    }
    if (!record.ordering_key.empty()) keys_.insert(OrderingKeyHash(key_, record.ordering_key));
  }
}

void ActiveIndex::AddHole(Sequence first, Sequence last) {
  const std::lock_guard lock(mutex_);
  holes_.emplace_back(first, last);
}

void ActiveIndex::AddId(std::uint64_t hash, std::uint32_t offset) {
  if (ids_.size() >= buckets_.size()) {
    buckets_.assign(buckets_.size() * 4, 0);
    const std::uint64_t mask = buckets_.size() - 1;
    for (std::uint32_t i = 0; i < ids_.size(); ++i) {
      std::uint32_t& bucket = buckets_[ids_[i].hash & mask];
      ids_[i].next = std::exchange(bucket, i + 1);
    }
  }
  std::uint32_t& bucket = buckets_[hash & (buckets_.size() - 1)];
  const std::uint32_t next = std::exchange(bucket, static_cast<std::uint32_t>(ids_.size() + 1));
  ids_.push_back({hash, offset, next});
}

SegmentSummary ActiveIndex::summary() const {
  const std::lock_guard lock(mutex_);
  return summary_;
}

std::optional<BlockSpan> ActiveIndex::FirstMatching(Sequence from, const ScanFilter& filter) const {
  const std::lock_guard lock(mutex_);
  return blocks_.FirstMatching(from, filter);
}

std::optional<BlockSpan> ActiveIndex::FirstAtOrAfter(Sequence from, std::int64_t time) const {
  const std::lock_guard lock(mutex_);
  return blocks_.FirstAtOrAfter(from, time);
}

absl::StatusOr<std::vector<Sequence>> ActiveIndex::FindId(std::uint64_t id_hash) const {
  const std::lock_guard lock(mutex_);
  std::vector<Sequence> found;
  for (std::uint32_t at = buckets_[id_hash & (buckets_.size() - 1)]; at != 0;
       at = ids_[at - 1].next) {
    if (ids_[at - 1].hash == id_hash) found.push_back(summary_.segment_id + ids_[at - 1].offset);
  }
  return found;
}

absl::StatusOr<bool> ActiveIndex::MayHoldKey(std::uint64_t key_hash) const {
  const std::lock_guard lock(mutex_);
  return keys_.contains(key_hash);
}

std::string ActiveIndex::EncodeIdTable() const {
  const auto buckets = static_cast<std::uint32_t>(std::bit_ceil(ids_.size() / 4 + 1));
  std::vector<std::uint32_t> ends(buckets + 1);
  for (const IdEntry& entry : ids_) ++ends[(entry.hash & (buckets - 1)) + 1];
  for (std::uint32_t i = 0; i < buckets; ++i) ends[i + 1] += ends[i];
  std::string out;
  out.reserve(4 + ends.size() * 4 + ids_.size() * 8);
  Put(out, buckets);
  out.append(reinterpret_cast<const char*>(ends.data()), ends.size() * 4);
  const std::size_t entries_at = out.size();
  out.resize(entries_at + ids_.size() * 8);
  for (const IdEntry& entry : ids_) {
    char* const at = out.data() + entries_at + 8 * std::size_t{ends[entry.hash & (buckets - 1)]++};
    Store(at, static_cast<std::uint32_t>(entry.hash >> 32));
    Store(at + 4, entry.offset);
  }
  return out;
}

std::string ActiveIndex::EncodeFooter() const {
  const std::lock_guard lock(mutex_);
  std::array<std::string, kFooterSections> sections;
  blocks_.Encode(sections[kBlocksSection]);
  sections[kIdTableSection] = EncodeIdTable();
  FilterBuilder ids(ids_.size());
  for (const IdEntry& entry : ids_) ids.Add(entry.hash);
  sections[kIdFilterSection] = ids.Take();
  FilterBuilder keys(keys_.size());
  for (const std::uint64_t key : keys_) keys.Add(key);
  sections[kKeyFilterSection] = keys.Take();
  for (const auto& [first, last] : holes_) {
    Put(sections[kHolesSection], first);
    Put(sections[kHolesSection], last);
  }
  return EncodeFooterBytes(log_id_, summary_, sections);
}

}  // namespace penstock::broker
