#include <gtest/gtest.h>

#include "libs/base/crc32c.h"
#include "services/event-broker/storage/batch_format.h"
#include "services/event-broker/storage/bloom_filter.h"
#include "services/event-broker/storage/log_folder.h"
#include "services/event-broker/storage/wire.h"

namespace penstock::broker {
namespace {

std::string Hex(std::string_view bytes) {
  std::string out;
  for (const char byte : bytes)
    out += "0123456789abcdef"[static_cast<unsigned char>(byte) >> 4],
        out += "0123456789abcdef"[byte & 15];
  return out;
}

LogId TestId() {
  LogId id;
  for (std::size_t i = 0; i < id.size(); ++i) id[i] = static_cast<char>(i);
  return id;
}

std::string OneBatch(BatchHeader& header) {
  BatchBuilder builder(7, 1'000'000, 0);
  AppendRequest request{.space = "s", .type = "t", .source = "/x", .id = "1"};
  request.ordering_key = "k";
  request.body = SharedBytes("hi");
  builder.Add(request, ContentHashOf(request));
  header = {.log_id = TestId(), .segment_id = 5, .batch_number = 3, .previous_crc = 0xaabbccdd};
  return builder.Finish(header);
}

TEST(FormatTest, WritesTheDocumentedBytes) {
  BatchHeader header;
  const std::string bytes = OneBatch(header);
  EXPECT_EQ(Hex(bytes.substr(0, 80)),
            "01505342"  // Magic.
            "0100"
            "5800"                              // Format, header size.
            "000102030405060708090a0b0c0d0e0f"  // Log id.
            "0500000000000000"                  // Segment id.
            "0300000000000000"                  // Batch number.
            "0700000000000000"                  // First sequence.
            "01000000"
            "28000000"          // Count, body bytes.
            "40420f0000000000"  // Time, from.
            "40420f0000000000"  // Time, to.
            "ddccbbaa" +        // The CRC of the batch before.
                Hex(std::string_view(bytes).substr(76, 4)));
  EXPECT_EQ(Hex(bytes.substr(88, 8)),
            "28000000"
            "00000000");  // Record size, time offset.
  EXPECT_EQ(Hex(bytes.substr(104, 16)),
            "02000000"
            "0100"
            "0100"
            "0200"
            "0100"
            "0100"
            "01"
            "00");
  EXPECT_EQ(bytes.substr(120), "st/x1khi");
  EXPECT_EQ(Load<std::uint32_t>(bytes.data() + 76), Crc32c(std::string_view(bytes).substr(88)));
  EXPECT_EQ(Load<std::uint32_t>(bytes.data() + 84), Crc32c(std::string_view(bytes).substr(0, 84)));
}

TEST(FormatTest, ReadsBackWhatItWrote) {
  BatchHeader written;
  const std::string bytes = OneBatch(written);
  BatchHeader read;
  ASSERT_EQ(DecodeBatchHeader(bytes, read), HeaderVerdict::kValid);
  EXPECT_EQ(read.first_sequence, 7u);
  RecordCursor cursor(read, std::string_view(bytes).substr(kBatchHeaderBytes));
  RecordView record;
  ASSERT_TRUE(cursor.Next(record));
  EXPECT_EQ(record.sequence, 7u);
  EXPECT_EQ(record.append_time, 1'000'000);
  EXPECT_EQ(record.ordering_key, "k");
  EXPECT_EQ(record.body, "hi");
  EXPECT_FALSE(cursor.Next(record));
  EXPECT_TRUE(cursor.complete());
}

TEST(FormatTest, MarksLeadToEveryRecord) {
  constexpr std::uint32_t kRecords = 3 * kRecordsPerMark + 1;
  BatchBuilder builder(100, 1, 0);
  for (std::uint32_t i = 0; i < kRecords; ++i) {
    AppendRequest request;
    request.body = SharedBytes(std::string(i, 'x'));
    builder.Add(request, 1);
  }
  BatchHeader header;
  const std::string bytes = builder.Finish(header);
  const RecordMarks marks = builder.TakeMarks();
  for (Sequence wanted = 90; wanted < 100 + kRecords; ++wanted) {
    RecordCursor cursor(header, std::string_view(bytes).substr(kBatchHeaderBytes));
    cursor.SkipTo(wanted, marks);
    RecordView record;
    std::uint32_t steps = 0;
    do {
      ASSERT_TRUE(cursor.Next(record));
      ++steps;
    } while (record.sequence < wanted);
    EXPECT_EQ(record.body.size(), record.sequence - 100);
    EXPECT_LE(steps, kRecordsPerMark);
  }
}

TEST(FormatTest, RejectsAHeaderWithAnyBitFlipped) {
  BatchHeader header;
  const std::string bytes = OneBatch(header);
  for (std::size_t bit = 0; bit < kBatchHeaderBytes * 8; ++bit) {
    std::string damaged = bytes;
    damaged[bit / 8] = static_cast<char>(damaged[bit / 8] ^ (1 << bit % 8));
    EXPECT_NE(DecodeBatchHeader(damaged, header), HeaderVerdict::kValid) << "bit " << bit;
  }
}

TEST(FormatTest, RecordCursorSurvivesAnyBody) {
  BatchHeader header;
  const std::string bytes = OneBatch(header);
  for (std::size_t at = kBatchHeaderBytes; at < bytes.size(); ++at) {
    for (const char value : {'\0', '\x7f', '\xff'}) {
      std::string damaged = bytes;
      damaged[at] = value;
      for (std::size_t size = kBatchHeaderBytes; size <= bytes.size(); ++size) {
        RecordCursor cursor(
            header, std::string_view(damaged).substr(kBatchHeaderBytes, size - kBatchHeaderBytes));
        RecordView record;
        while (cursor.Next(record)) EXPECT_LE(record.body.size(), damaged.size());
      }
    }
  }
}

TEST(FormatTest, TellsANewerFormatFromDamage) {
  BatchHeader header;
  std::string bytes = OneBatch(header);
  Store(bytes.data() + 4, std::uint16_t{2});
  EXPECT_EQ(DecodeBatchHeader(bytes, header), HeaderVerdict::kInvalid);
  Store(bytes.data() + 84, Crc32c(std::string_view(bytes).substr(0, 84)));
  EXPECT_EQ(DecodeBatchHeader(bytes, header), HeaderVerdict::kNewer);
}

TEST(FormatTest, ManifestIsReadBackAndDamageIsNoticed) {
  const std::string text = EncodeManifest(TestId());
  EXPECT_EQ(DecodeManifest(text).value(), TestId());
  for (std::size_t i = 0; i < text.size(); ++i) {
    std::string damaged = text;
    damaged[i] = static_cast<char>(damaged[i] ^ 1);
    EXPECT_FALSE(DecodeManifest(damaged).ok()) << i;
  }
}

TEST(FilterTest, KnowsEveryMemberAndFewOthers) {
  const HashKey key{1, 2};
  FilterBuilder builder(10'000);
  const auto hash = [&](int i) { return HashParts(key, {std::to_string(i)}).low; };
  for (int i = 0; i < 10'000; ++i) builder.Add(hash(i));
  const std::string filter = builder.Take();
  const auto holds = [&](int i) {
    return FilterBlockHolds(
        std::string_view(filter).substr(FilterBlockOffset(hash(i), filter.size()), 64), hash(i));
  };
  for (int i = 0; i < 10'000; ++i) EXPECT_TRUE(holds(i));
  int wrong = 0;
  for (int i = 10'000; i < 20'000; ++i) wrong += holds(i) ? 1 : 0;
  EXPECT_LT(wrong, 400);
}

TEST(KeyedHashTest, DependsOnKeyContentAndWherePartsEnd) {
  const HashKey key{1, 2};
  EXPECT_EQ(HashParts(key, {"ab", "c"}), HashParts(key, {"ab", "c"}));
  EXPECT_NE(HashParts(key, {"ab", "c"}), HashParts(key, {"a", "bc"}));
  EXPECT_NE(HashParts(key, {"ab"}), HashParts(key, {"ab", ""}));
  EXPECT_NE(HashParts(key, {std::string_view("a\0", 2)}), HashParts(key, {"a"}));
  EXPECT_NE(HashParts(key, {"ab"}), HashParts({1, 3}, {"ab"}));
}

}  // namespace
}  // namespace penstock::broker
