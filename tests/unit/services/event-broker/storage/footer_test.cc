#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>

#include "services/event-broker/storage/bloom_filter.h"
#include "services/event-broker/storage/segment_footer.h"
#include "services/event-broker/storage/wire.h"

namespace penstock::broker {
namespace {

// A file that only is read.
class BytesFile final : public File {
 public:
  explicit BytesFile(std::string bytes) : bytes_(std::move(bytes)) {}
  absl::Status WriteAt(std::uint64_t, std::span<const std::string_view>) override {
    return absl::InternalError("read only");
  }
  absl::StatusOr<std::size_t> ReadAt(std::uint64_t offset, char* out, std::size_t size) override {
    const std::size_t at = std::min<std::size_t>(offset, bytes_.size());
    const std::size_t got = std::min(size, bytes_.size() - at);
    std::memcpy(out, bytes_.data() + at, got);
    return got;
  }
  absl::Status Sync() override { return absl::OkStatus(); }
  absl::Status Truncate(std::uint64_t) override { return absl::InternalError("read only"); }
  absl::Status Allocate(std::uint64_t) override { return absl::InternalError("read only"); }
  absl::StatusOr<std::uint64_t> Size() override { return bytes_.size(); }
  void DropCache(std::uint64_t, std::uint64_t) override {}

 private:
  std::string bytes_;
};

// What FindId(0) makes of a footer with this table of ids, and a filter that holds every id.
absl::StatusOr<std::vector<Sequence>> Find(const std::vector<std::uint32_t>& table) {
  std::array<std::string, kFooterSections> sections;
  BlockIndex().Encode(sections[kBlocksSection]);
  for (const std::uint32_t number : table) Put(sections[kIdTableSection], number);
  sections[kIdFilterSection] = std::string(kFilterBlockBytes, '\xff');
  SegmentSummary summary;
  summary.segment_id = 100;
  std::string bytes = EncodeFooterBytes(LogId{}, summary, sections);
  const std::size_t size = bytes.size();
  auto file = std::make_shared<BytesFile>(std::move(bytes));
  SegmentTrailer trailer;
  const auto verdict = ReadTrailer(*file, size, trailer);
  EXPECT_TRUE(verdict.ok() && *verdict == TrailerVerdict::kValid);
  auto index = OpenFooterIndex(file, trailer);
  EXPECT_TRUE(index.ok()) << index.status();
  return (*index)->FindId(0);
}

TEST(FooterTest, FindsAnId) {
  // One bucket, where its entries begin and end, and an entry: the hash's upper half, and the
  // place.
  const auto found = Find({1, 0, 1, 0, 7});
  ASSERT_TRUE(found.ok()) << found.status();
  EXPECT_EQ(*found, std::vector<Sequence>{107});
}

TEST(FooterTest, ATableThatPointsOutOfItselfIsDataLoss) {
  for (const std::vector<std::uint32_t>& table : std::vector<std::vector<std::uint32_t>>{
           {0, 0, 0},                  // No bucket.
           {1},                        // No place of one.
           {1u << 31, 0, 0},           // More buckets than bytes.
           {1, 1, 0, 0, 0},            // An end before its beginning.
           {1, 0, 2, 0, 0},            // More entries than there are.
           {1, 0, 0xffffffffu, 0, 0},  // 32 GiB of them.
       }) {
    EXPECT_EQ(Find(table).status().code(), absl::StatusCode::kDataLoss) << table.size();
  }
}

}  // namespace
}  // namespace penstock::broker
