// The log's files: batches, records, the block index and the footer of bytes that may be anything.
// Where a checksum guards the bytes, the right one is put in, so that what it guards is reached.
#include <algorithm>
#include <array>
#include <cstring>
#include <memory>
#include <string>

#include "services/event-broker/storage/batch_format.h"
#include "services/event-broker/storage/block_index.h"
#include "services/event-broker/storage/segment_footer.h"
#include "services/event-broker/storage/segment_scan.h"
#include "tests/fuzz/check.h"

namespace penstock::broker {
namespace {

constexpr SegmentIdentity kIdentity{{'f', 'u', 'z', 'z'}, 1};

class BytesFile final : public File {
 public:
  explicit BytesFile(std::string bytes) : bytes_(std::move(bytes)) {}
  absl::Status WriteAt(std::uint64_t, std::span<const std::string_view>) override {
    return absl::InternalError("read only");
  }
  absl::StatusOr<std::size_t> ReadAt(std::uint64_t offset, char* out, std::size_t size) override {
    if (offset >= bytes_.size()) return std::size_t{0};
    const std::size_t got = std::min<std::size_t>(size, bytes_.size() - offset);
    std::memcpy(out, bytes_.data() + offset, got);
    return got;
  }
  absl::Status Sync() override { return absl::OkStatus(); }
  absl::Status Truncate(std::uint64_t) override { return absl::OkStatus(); }
  absl::Status Allocate(std::uint64_t) override { return absl::OkStatus(); }
  absl::StatusOr<std::uint64_t> Size() override { return bytes_.size(); }
  void DropCache(std::uint64_t, std::uint64_t) override {}

 private:
  std::string bytes_;
};

void CheckRecords(std::string_view body) {
  BatchHeader header;
  header.first_sequence = 1;
  header.count = 1 + TakeByte(body) % 8;
  header.body_bytes = static_cast<std::uint32_t>(body.size());
  RecordCursor cursor(header, body);
  RecordView record;
  std::uint32_t records = 0;
  std::size_t bytes = 0;
  while (cursor.Next(record)) {
    FUZZ_CHECK(record.sequence == header.first_sequence + records);
    bytes += record.encoded_bytes;
    ++records;
  }
  FUZZ_CHECK(bytes <= body.size());
  FUZZ_CHECK(cursor.complete() == (records == header.count && bytes == body.size()));
}

void CheckBlocks(std::string_view bytes) {
  const auto index = BlockIndex::Decode(bytes);
  if (!index.ok()) return;
  std::string again;
  index->Encode(again);
  FUZZ_CHECK(again == bytes);
  index->FirstMatching(1, ScanFilter{});
  index->FirstAtOrAfter(1, 0);
}

// A footer whose sections are the pieces of `bytes`.
void CheckFooter(std::string_view bytes) {
  std::array<std::string, kFooterSections> sections;
  for (std::string& section : sections) {
    const std::size_t size = std::min<std::size_t>(TakeByte(bytes), bytes.size());
    section = bytes.substr(0, size);
    bytes.remove_prefix(size);
  }
  SegmentSummary summary;
  summary.segment_id = kIdentity.segment_id;
  std::string footer = EncodeFooterBytes(kIdentity.log_id, summary, sections);
  const std::size_t size = footer.size();
  auto file = std::make_shared<BytesFile>(std::move(footer));
  SegmentTrailer trailer;
  const auto verdict = ReadTrailer(*file, size, trailer);
  FUZZ_CHECK(verdict.ok() && *verdict == TrailerVerdict::kValid);
  FUZZ_CHECK(VerifyFooter(*file, size).ok());
  FUZZ_CHECK(ReadHoles(*file, trailer).ok());
  const auto index = OpenFooterIndex(file, trailer);
  if (!index.ok()) return;
  for (const std::uint64_t hash : {0ull, 1ull, 0x123456789abcdefull}) {
    (*index)->FindId(hash).status().IgnoreError();
    (*index)->MayHoldKey(hash).status().IgnoreError();
  }
}

// A batch with the right checksums around `body`, behind and before bytes of no batch.
void CheckScan(std::string_view text) {
  const std::size_t before = TakeByte(text) % 64;
  const std::string_view noise = text.substr(0, before);
  const std::string_view body = text.substr(noise.size());
  BatchBuilder builder(1, 1, body.size());
  AppendRequest request;
  request.space = "s";
  request.body = SharedBytes(std::string(body));
  builder.Add(request, 0);
  BatchHeader header;
  header.log_id = kIdentity.log_id;
  header.segment_id = kIdentity.segment_id;
  header.batch_number = 1;
  header.first_sequence = 1;
  const std::string batch = builder.Finish(header);
  const std::string bytes = std::string(noise) + batch + std::string(noise);
  BytesFile file(bytes);
  const auto scan = ScanSegment(file, bytes.size(), kIdentity, nullptr);
  FUZZ_CHECK(scan.ok());
  FUZZ_CHECK(scan->valid_end <= bytes.size());
  FUZZ_CHECK(scan->last.has_value() && scan->last->count == 1);
  FUZZ_CHECK(scan->valid_end == noise.size() + batch.size());
}

}  // namespace
}  // namespace penstock::broker

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace penstock;
  std::string_view bytes = FuzzText(data, size);
  switch (TakeByte(bytes) % 5) {
    case 0: broker::CheckRecords(bytes); break;
    case 1: broker::CheckBlocks(bytes); break;
    case 2: broker::CheckFooter(bytes); break;
    case 3: broker::CheckScan(bytes); break;
    default: {
      broker::BytesFile file{std::string(bytes)};
      FUZZ_CHECK(broker::ScanSegment(file, bytes.size(), broker::kIdentity, nullptr).ok());
      broker::BatchHeader header;
      broker::DecodeBatchHeader(bytes, header);
      broker::VerifyFooter(file, bytes.size()).IgnoreError();
    }
  }
  return 0;
}
