#include "libs/h2/grpc_wire.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

namespace penstock::h2 {
namespace {

using std::chrono::hours;
using std::chrono::microseconds;

TEST(GrpcReaderTest, TakesMessagesApartWhateverTheirPieces) {
  std::string bytes;
  AppendGrpcMessage(bytes, "one");
  AppendGrpcMessage(bytes, "");
  AppendGrpcMessage(bytes, std::string(70'000, 'x'), true);
  for (const std::size_t piece : {std::size_t{1}, std::size_t{7}, bytes.size()}) {
    GrpcReader reader(100'000);
    std::vector<GrpcReader::Message> messages;
    for (std::size_t at = 0; at < bytes.size(); at += piece) {
      reader.Append(std::string_view(bytes).substr(at, piece));
      while (auto message = reader.Next()) messages.push_back(*std::move(message));
    }
    ASSERT_EQ(messages.size(), 3u);
    EXPECT_EQ(messages[0].bytes, "one");
    EXPECT_FALSE(messages[0].is_compressed);
    EXPECT_EQ(messages[1].bytes, "");
    EXPECT_EQ(messages[2].bytes.size(), 70'000u);
    EXPECT_TRUE(messages[2].is_compressed);
    EXPECT_TRUE(reader.is_between_messages());
  }
}

TEST(GrpcReaderTest, RefusesWhatIsTooLargeBeforeItIsThere) {
  GrpcReader reader(10);
  reader.Append(std::string("\0\0\0\0\x0b", 5));
  EXPECT_FALSE(reader.Next());
  EXPECT_EQ(reader.error().code(), absl::StatusCode::kResourceExhausted);
  EXPECT_FALSE(reader.is_between_messages());
}

TEST(GrpcReaderTest, RefusesAFlagThatIsUnknown) {
  GrpcReader reader(10);
  reader.Append(std::string("\2\0\0\0\0", 5));
  EXPECT_FALSE(reader.Next());
  EXPECT_EQ(reader.error().code(), absl::StatusCode::kInternal);
}

TEST(GrpcStatusTest, SurvivesTheWayThere) {
  Fields trailers;
  AddGrpcStatus({absl::StatusCode::kNotFound, "100 % \xC3\xA9\n", std::string("\0\xFF\x01", 3)},
                trailers);
  EXPECT_EQ(trailers.Get("grpc-message"), "100 %25 %C3%A9%0A");
  const auto status = GrpcStatusOf(trailers);
  ASSERT_TRUE(status);
  EXPECT_EQ(status->code, absl::StatusCode::kNotFound);
  EXPECT_EQ(status->message, "100 % \xC3\xA9\n");
  EXPECT_EQ(status->details, std::string("\0\xFF\x01", 3));
}

TEST(GrpcStatusTest, IsUnknownWhereTheCodeIs) {
  for (const char* code : {"17", "-1", "x", "", "5x"}) {
    Fields trailers;
    trailers.Add("grpc-status", code);
    const auto status = GrpcStatusOf(trailers);
    ASSERT_TRUE(status) << code;
    EXPECT_EQ(status->code, absl::StatusCode::kUnknown) << code;
  }
  EXPECT_FALSE(GrpcStatusOf(Fields()));
}

TEST(GrpcStatusTest, LeavesBadPercentSignsAsTheyAre) {
  EXPECT_EQ(DecodeGrpcMessage("%"), "%");
  EXPECT_EQ(DecodeGrpcMessage("%4"), "%4");
  EXPECT_EQ(DecodeGrpcMessage("%zz%41"), "%zzA");
}

TEST(GrpcTimeoutTest, ReadsEveryUnit) {
  EXPECT_EQ(ParseGrpcTimeout("1H"), hours(1));
  EXPECT_EQ(ParseGrpcTimeout("2M"), std::chrono::minutes(2));
  EXPECT_EQ(ParseGrpcTimeout("3S"), std::chrono::seconds(3));
  EXPECT_EQ(ParseGrpcTimeout("4m"), std::chrono::milliseconds(4));
  EXPECT_EQ(ParseGrpcTimeout("5u"), microseconds(5));
  EXPECT_EQ(ParseGrpcTimeout("6001n"), microseconds(7));
  EXPECT_EQ(ParseGrpcTimeout("99999999H"), hours(365 * 24)) << "cut";
  for (const char* bad : {"", "S", "1", "123456789S", "-1S", "1.5S", "1s", " 1S", "1S "}) {
    EXPECT_FALSE(ParseGrpcTimeout(bad)) << bad;
  }
}

TEST(GrpcTimeoutTest, WritesTheFinestUnitThatFits) {
  EXPECT_EQ(FormatGrpcTimeout(microseconds(0)), "0u");
  EXPECT_EQ(FormatGrpcTimeout(microseconds(-5)), "0u");
  EXPECT_EQ(FormatGrpcTimeout(microseconds(99'999'999)), "99999999u");
  EXPECT_EQ(FormatGrpcTimeout(microseconds(100'000'001)), "100001m");
  EXPECT_EQ(FormatGrpcTimeout(hours(24 * 365 * 300)), "2628000H");
}

TEST(GrpcCodeTest, FollowsTheTableOfTheProtocol) {
  EXPECT_EQ(GrpcCodeOf(ErrorCode::kRefusedStream), absl::StatusCode::kUnavailable);
  EXPECT_EQ(GrpcCodeOf(ErrorCode::kCancel), absl::StatusCode::kCancelled);
  EXPECT_EQ(GrpcCodeOf(ErrorCode::kEnhanceYourCalm), absl::StatusCode::kResourceExhausted);
  EXPECT_EQ(GrpcCodeOf(ErrorCode::kInadequateSecurity), absl::StatusCode::kPermissionDenied);
  EXPECT_EQ(GrpcCodeOf(ErrorCode::kNoError), absl::StatusCode::kInternal);
  EXPECT_EQ(GrpcCodeOf(ErrorCode::kConnectionLost), absl::StatusCode::kUnavailable);
}

}  // namespace
}  // namespace penstock::h2
