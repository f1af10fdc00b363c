#include "services/event-broker/storage/segment_footer.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>
#include <mutex>

#include "libs/base/crc32c.h"
#include "libs/base/status.h"
#include "services/event-broker/storage/bloom_filter.h"
#include "services/event-broker/storage/wire.h"

namespace penstock::broker {
namespace {

constexpr std::size_t kTailBytes =
    12;  // Format, size, magic and checksum, the same in every format.
constexpr std::size_t kTrailerBytesMax = 4096;

absl::StatusOr<std::string> ReadExactly(File& file, std::uint64_t offset, std::size_t size) {
  std::string out(size, '\0');
  ASSIGN_OR_RETURN(const std::size_t got, file.ReadAt(offset, out.data(), size));
  if (got != size) return absl::DataLossError("file ends too early");
  return out;
}

std::uint64_t SectionOffset(const SegmentTrailer& trailer, FooterSection section) {
  std::uint64_t offset = trailer.summary.batches_end;
  for (std::size_t i = 0; i < section; ++i) offset += trailer.sections[i].bytes;
  return offset;
}

// The footer of a sealed file. Thread-safe.
class FooterIndex final : public SegmentIndex {
 public:
  FooterIndex(std::shared_ptr<File> file, const SegmentTrailer& trailer, BlockIndex blocks)
      : file_(std::move(file)), trailer_(trailer), blocks_(std::move(blocks)) {}

  std::optional<BlockSpan> FirstMatching(Sequence from, const ScanFilter& filter) const override {
    return blocks_.FirstMatching(from, filter);
  }
  std::optional<BlockSpan> FirstAtOrAfter(Sequence from, std::int64_t time) const override {
    return blocks_.FirstAtOrAfter(from, time);
  }
  absl::StatusOr<std::vector<Sequence>> FindId(std::uint64_t id_hash) const override;
  absl::StatusOr<bool> MayHoldKey(std::uint64_t key_hash) const override {
    return FilterHolds(kKeyFilterSection, key_hash);
  }

 private:
  // A section is verified whole once; later uses read only the bytes that they need.
  absl::Status EnsureVerified(FooterSection section) const {
    const std::lock_guard lock(mutex_);
    if (verified_[section]) return absl::OkStatus();
    RETURN_IF_ERROR(ReadSection(*file_, trailer_, section).status());
    verified_[section] = true;
    return absl::OkStatus();
  }
  absl::StatusOr<bool> FilterHolds(FooterSection section, std::uint64_t hash) const {
    RETURN_IF_ERROR(EnsureVerified(section));
    const std::uint64_t at = FilterBlockOffset(hash, trailer_.sections[section].bytes);
    ASSIGN_OR_RETURN(const std::string block,
                     ReadExactly(*file_, SectionOffset(trailer_, section) + at, kFilterBlockBytes));
    return FilterBlockHolds(block, hash);
  }

  const std::shared_ptr<File> file_;
  const SegmentTrailer trailer_;
  const BlockIndex blocks_;
  mutable std::mutex mutex_;
  mutable std::array<bool, kFooterSections> verified_{};
};

absl::StatusOr<std::vector<Sequence>> FooterIndex::FindId(std::uint64_t id_hash) const {
  ASSIGN_OR_RETURN(const bool possible, FilterHolds(kIdFilterSection, id_hash));
  std::vector<Sequence> found;
  if (!possible) return found;
  RETURN_IF_ERROR(EnsureVerified(kIdTableSection));
  const std::uint64_t start = SectionOffset(trailer_, kIdTableSection);
  ASSIGN_OR_RETURN(const std::string head, ReadExactly(*file_, start, 4));
  const auto buckets = Load<std::uint32_t>(head.data());
  const std::uint64_t table_bytes = trailer_.sections[kIdTableSection].bytes;
  // The checksum holds, so this was written wrong; what it says must still not lead out of it.
  if (buckets == 0 || 4 + (std::uint64_t{buckets} + 1) * 4 > table_bytes) {
    return absl::DataLossError("the table of ids in the footer is malformed");
  }
  const std::uint64_t bucket = id_hash & (buckets - 1);
  ASSIGN_OR_RETURN(const std::string ends, ReadExactly(*file_, start + 4 + bucket * 4, 8));
  const auto first = Load<std::uint32_t>(ends.data());
  const auto last = Load<std::uint32_t>(ends.data() + 4);
  const std::uint64_t entries = start + 4 + (std::uint64_t{buckets} + 1) * 4;
  if (first > last || entries + std::uint64_t{last} * 8 > start + table_bytes) {
    return absl::DataLossError("the table of ids in the footer is malformed");
  }
  ASSIGN_OR_RETURN(const std::string raw, ReadExactly(*file_, entries + std::uint64_t{first} * 8,
                                                      std::size_t{last - first} * 8));
  for (std::size_t at = 0; at < raw.size(); at += 8) {
    if (Load<std::uint32_t>(raw.data() + at) == static_cast<std::uint32_t>(id_hash >> 32)) {
      found.push_back(trailer_.summary.segment_id + Load<std::uint32_t>(raw.data() + at + 4));
    }
  }
  std::sort(found.rbegin(), found.rend());
  return found;
}

}  // namespace

std::string EncodeFooterBytes(const LogId& log_id, const SegmentSummary& summary,
                              const std::array<std::string, kFooterSections>& sections) {
  std::string out;
  for (const std::string& section : sections) out.append(section);
  const std::size_t trailer_at = out.size();
  out.append(log_id.data(), log_id.size());
  Put(out, summary.segment_id);
  Put(out, summary.first_sequence);
  Put(out, summary.last_sequence);
  Put(out, summary.events);
  Put(out, summary.time_min);
  Put(out, summary.time_max);
  Put(out, summary.first_batch);
  Put(out, summary.last_batch);
  Put(out, summary.batches_end);
  for (const std::string& section : sections) {
    Put(out, static_cast<std::uint32_t>(section.size()));
    Put(out, Crc32c(section));
  }
  Put(out, summary.last_batch_crc);
  Put(out, kLogFormat);
  Put(out, static_cast<std::uint16_t>(kTrailerBytes));
  Put(out, kTrailerMagic);
  Put(out, Crc32c(std::string_view(out).substr(trailer_at)));
  return out;
}

absl::StatusOr<TrailerVerdict> ReadTrailer(File& file, std::uint64_t file_bytes,
                                           SegmentTrailer& trailer) {
  if (file_bytes < kTailBytes) return TrailerVerdict::kNone;
  ASSIGN_OR_RETURN(const std::string tail, ReadExactly(file, file_bytes - kTailBytes, kTailBytes));
  const auto format = Load<std::uint16_t>(tail.data());
  const std::size_t size = Load<std::uint16_t>(tail.data() + 2);
  if (Load<std::uint32_t>(tail.data() + 4) != kTrailerMagic || size < kTailBytes ||
      size > kTrailerBytesMax || size > file_bytes) {
    return TrailerVerdict::kNone;
  }
  ASSIGN_OR_RETURN(const std::string bytes, ReadExactly(file, file_bytes - size, size));
  const std::string_view covered = std::string_view(bytes).substr(0, size - 4);
  if (Crc32c(covered) != Load<std::uint32_t>(bytes.data() + size - 4)) return TrailerVerdict::kNone;
  if (format > kLogFormat) return TrailerVerdict::kNewer;
  if (format != kLogFormat || size != kTrailerBytes) return TrailerVerdict::kNone;
  WireReader reader(covered);
  const std::string_view log_id = reader.Bytes(trailer.log_id.size());
  std::memcpy(trailer.log_id.data(), log_id.data(), log_id.size());
  SegmentSummary& summary = trailer.summary;
  summary.segment_id = reader.Get<std::uint64_t>();
  summary.first_sequence = reader.Get<Sequence>();
  summary.last_sequence = reader.Get<Sequence>();
  summary.events = reader.Get<std::uint64_t>();
  summary.time_min = reader.Get<std::int64_t>();
  summary.time_max = reader.Get<std::int64_t>();
  summary.first_batch = reader.Get<std::uint64_t>();
  summary.last_batch = reader.Get<std::uint64_t>();
  summary.batches_end = reader.Get<std::uint64_t>();
  std::uint64_t end = summary.batches_end + size;
  for (SegmentTrailer::Section& section : trailer.sections) {
    section.bytes = reader.Get<std::uint32_t>();
    section.crc = reader.Get<std::uint32_t>();
    end += section.bytes;
  }
  summary.last_batch_crc = reader.Get<std::uint32_t>();
  return end == file_bytes ? TrailerVerdict::kValid : TrailerVerdict::kNone;
}

absl::StatusOr<std::string> ReadSection(File& file, const SegmentTrailer& trailer,
                                        FooterSection section) {
  ASSIGN_OR_RETURN(std::string bytes, ReadExactly(file, SectionOffset(trailer, section),
                                                  trailer.sections[section].bytes));
  if (Crc32c(bytes) != trailer.sections[section].crc) {
    return absl::DataLossError(
        fmt::format("section {} of the footer is damaged", static_cast<int>(section)));
  }
  return bytes;
}

absl::Status VerifyFooter(File& file, std::uint64_t file_bytes) {
  SegmentTrailer trailer;
  ASSIGN_OR_RETURN(const TrailerVerdict verdict, ReadTrailer(file, file_bytes, trailer));
  if (verdict != TrailerVerdict::kValid) return absl::DataLossError("the footer is damaged");
  for (std::size_t section = 0; section < kFooterSections; ++section) {
    RETURN_IF_ERROR(ReadSection(file, trailer, static_cast<FooterSection>(section)).status());
  }
  return absl::OkStatus();
}

absl::StatusOr<std::vector<std::pair<Sequence, Sequence>>> ReadHoles(
    File& file, const SegmentTrailer& trailer) {
  std::vector<std::pair<Sequence, Sequence>> holes;
  if (trailer.sections[kHolesSection].bytes == 0) return holes;
  ASSIGN_OR_RETURN(const std::string bytes, ReadSection(file, trailer, kHolesSection));
  for (std::size_t at = 0; at + 16 <= bytes.size(); at += 16) {
    holes.emplace_back(Load<Sequence>(bytes.data() + at), Load<Sequence>(bytes.data() + at + 8));
  }
  return holes;
}

absl::StatusOr<std::unique_ptr<SegmentIndex>> OpenFooterIndex(std::shared_ptr<File> file,
                                                              const SegmentTrailer& trailer) {
  ASSIGN_OR_RETURN(const std::string bytes, ReadSection(*file, trailer, kBlocksSection));
  ASSIGN_OR_RETURN(BlockIndex blocks, BlockIndex::Decode(bytes));
  return std::make_unique<FooterIndex>(std::move(file), trailer, std::move(blocks));
}

}  // namespace penstock::broker
