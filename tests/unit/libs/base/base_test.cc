#include <fmt/format.h>
#include <gtest/gtest.h>

#include <atomic>

#include "libs/base/callback_guard.h"
#include "libs/base/crc32c.h"
#include "libs/base/fake_clock.h"
#include "libs/base/hmac.h"
#include "libs/base/ids.h"
#include "libs/base/names.h"
#include "libs/base/status.h"
#include "libs/base/time.h"
#include "libs/base/utf8.h"
#include "libs/base/worker_pool.h"

namespace penstock {
namespace {

using namespace std::chrono_literals;

TEST(StatusTest, FieldErrorCarriesTheFieldInMessageAndDetails) {
  const absl::Status status = FieldError("retry.max_attempts", "must be at least 1");
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(status.message(), "retry.max_attempts: must be at least 1");
  ASSERT_EQ(FieldViolationsOf(status).size(), 1u);
  EXPECT_EQ(FieldViolationsOf(status)[0].field, "retry.max_attempts");
}

TEST(StatusTest, UnderFieldPrefixesFieldsAndIndexes) {
  EXPECT_EQ(UnderField("a", FieldError("b", "x")).message(), "a.b: x");
  EXPECT_EQ(UnderField("a", FieldError("[2].b", "x")).message(), "a[2].b: x");
  EXPECT_EQ(UnderField("a", absl::NotFoundError("n")).message(), "n");
}

TEST(StatusTest, ReasonAndRetryAfterComeBack) {
  const absl::Status status =
      WithRetryAfter(WithReason(absl::UnavailableError("x"), "OUTCOME_UNKNOWN"), absl::Seconds(2));
  EXPECT_EQ(ReasonOf(status), "OUTCOME_UNKNOWN");
  EXPECT_EQ(RetryAfterOf(status), absl::Seconds(2));
}

TEST(StatusTest, MapsCodesToHttpAfterTheStandardTable) {
  EXPECT_EQ(HttpStatusOf(absl::StatusCode::kFailedPrecondition), 400);
  EXPECT_EQ(HttpStatusOf(absl::StatusCode::kAborted), 409);
  EXPECT_EQ(HttpStatusOf(absl::StatusCode::kUnavailable), 503);
}

TEST(TimeTest, FormatsAndParsesRfc3339) {
  const WallTime time = FromUnixMicros(1'700'000'000'123'456);
  EXPECT_EQ(FormatRfc3339(time), "2023-11-14T22:13:20.123456Z");
  EXPECT_EQ(*ParseRfc3339("2023-11-14T23:13:20.123456+01:00"), time);
  EXPECT_FALSE(ParseRfc3339("2023-11-14").ok());
  EXPECT_FALSE(ParseRfc3339("infinite-future").ok());
}

TEST(TimeTest, ParsesDurationsWithUnits) {
  EXPECT_EQ(*ParseDuration("1.5s"), 1500ms);
  EXPECT_EQ(*ParseDuration("2h"), 2h);
  EXPECT_EQ(FormatDuration(1500ms), "1500ms");
  EXPECT_FALSE(ParseDuration("5").ok());
  EXPECT_FALSE(ParseDuration("-1s").ok());
  EXPECT_FALSE(ParseDuration("s").ok());
  EXPECT_FALSE(ParseDuration("nans").ok());
}

TEST(IdsTest, UuidsAreVersionFourAndDiffer) {
  const std::string id = NewUuid();
  EXPECT_EQ(id.size(), 36u);
  EXPECT_EQ(id[14], '4');
  EXPECT_NE(id, NewUuid());
}

TEST(IdsTest, Sha256MatchesThePublishedVector) {
  EXPECT_EQ(Sha256Hex("abc"), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
}

TEST(Crc32cTest, MatchesTheVectorsOfRfc3720) {
  EXPECT_EQ(Crc32c(std::string(32, '\0')), 0x8a9136aau);
  EXPECT_EQ(Crc32c(std::string(32, '\xff')), 0x62a8ab43u);
  EXPECT_EQ(Crc32c("123456789"), 0xe3069283u);
  EXPECT_EQ(Crc32c("6789", Crc32c("12345")), 0xe3069283u);
}

TEST(NamesTest, ParsesAResourceName) {
  const auto name = ParseResourceName("name", "functions", "spaces/default/functions/hello");
  ASSERT_TRUE(name.ok());
  EXPECT_EQ(name->space, "default");
  EXPECT_EQ(name->id, "hello");
  EXPECT_EQ(name->ToString(), "spaces/default/functions/hello");
}

TEST(NamesTest, RefusesWhatIsNoNameAndNamesTheField) {
  EXPECT_EQ(FieldViolationsOf(ParseResourceName("name", "functions", "hello").status())[0].field,
            "name");
  EXPECT_FALSE(ParseResourceName("name", "functions", "spaces/ab/functions/x").ok());
  EXPECT_FALSE(ParseResourceName("name", "functions", "spaces/abc/functions/").ok());
  EXPECT_FALSE(ParseResourceName("name", "functions", "spaces/abc/functions/a/b").ok());
  EXPECT_FALSE(CheckResourceId("id", std::string(64, 'a')).ok());
}

TEST(NamesTest, AReferenceMayBeBareOrFullButNotInAnotherSpace) {
  EXPECT_EQ(*ParseReference("function", "functions", "default", "hello"), "hello");
  EXPECT_EQ(*ParseReference("function", "functions", "default", "spaces/default/functions/hello"),
            "hello");
  EXPECT_FALSE(
      ParseReference("function", "functions", "default", "spaces/other/functions/hello").ok());
}

TEST(WorkerPoolTest, RefusesWhenTheQueueIsFullAndRunsTheRestOnStop) {
  WorkerPool pool({.name = "test", .threads = 1, .queue_max = 2});
  std::mutex gate;
  gate.lock();
  std::atomic<int> ran = 0;
  std::atomic<bool> started = false;
  ASSERT_TRUE(pool.TryPost([&] {
    started = true;
    const std::lock_guard wait(gate);
    ++ran;
  }));
  while (!started) std::this_thread::yield();
  EXPECT_TRUE(pool.TryPost([&] { ++ran; }));
  EXPECT_TRUE(pool.TryPost([&] { ++ran; }));
  EXPECT_FALSE(pool.TryPost([&] { ++ran; }));
  gate.unlock();
  pool.Stop();
  EXPECT_EQ(ran, 3);
  EXPECT_FALSE(pool.TryPost([] {}));
}

TEST(CallbackGuardTest, AbortsOnABlockingCallInsideAReaction) {
  AssertMayBlock("outside");
  EXPECT_DEATH(
      {
        const CallbackScope scope;
        AssertMayBlock("sqlite");
      },
      "blocking call on a callback thread: sqlite");
}

TEST(FakeClockTest, AdvancesBothClocksAndJumpsOnlyTheWall) {
  FakeClock clock;
  const auto wall = clock.Wall();
  const auto monotonic = clock.Monotonic();
  clock.Advance(5s);
  clock.JumpWall(-1h);
  EXPECT_EQ(clock.Wall() - wall, 5s - 1h);
  EXPECT_EQ(clock.Monotonic() - monotonic, 5s);
}

TEST(NamesTest, TakesATagBehindAName) {
  const auto tagged = ParseTaggedName("f", "functions", "spaces/default/functions/a.b@prod");
  ASSERT_TRUE(tagged.ok()) << tagged.status();
  EXPECT_EQ(tagged->name.id, "a.b");
  EXPECT_EQ(tagged->tag, "prod");
  EXPECT_EQ(tagged->ToString(), "spaces/default/functions/a.b@prod");
  const auto plain = ParseTaggedName("f", "functions", "spaces/default/functions/a");
  ASSERT_TRUE(plain.ok());
  EXPECT_EQ(plain->tag, "");
  EXPECT_EQ(plain->ToString(), "spaces/default/functions/a");
  for (const char* wrong : {"spaces/default/functions/a@", "spaces/default/functions/@b",
                            "spaces/default/functions/a@b@c", "spaces/default/functions/a@b c"}) {
    EXPECT_EQ(FieldViolationsOf(ParseTaggedName("f", "functions", wrong).status()).at(0).field, "f")
        << wrong;
  }
}

TEST(NamesTest, TakesTaggedIdsAndNamesAsReferences) {
  const auto parse = [](const char* text) {
    return ParseTaggedReference("f", "functions", "default", text);
  };
  EXPECT_EQ(*parse("a"), "a");
  EXPECT_EQ(*parse("a@3"), "a@3");
  EXPECT_EQ(*parse("spaces/default/functions/a@3"), "a@3");
  EXPECT_FALSE(parse("spaces/other/functions/a@3").ok());
  EXPECT_FALSE(parse("a@").ok());
  EXPECT_TRUE(CheckTaggedId("f", "a@3").ok());
  EXPECT_FALSE(CheckTaggedId("f", "@3").ok());
}

std::string Hex(const std::string& bytes) {
  std::string hex;
  for (const char c : bytes) hex += fmt::format("{:02x}", static_cast<unsigned char>(c));
  return hex;
}

// RFC 4231, test cases 1 and 6; the pieces may be cut anywhere.
TEST(HmacTest, IsThatOfItsSpecification) {
  EXPECT_EQ(Hex(HmacSha256(std::string(20, '\x0b'), {"Hi", " ", "There"})),
            "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7");
  EXPECT_EQ(Hex(HmacSha256(std::string(131, '\xaa'),
                           {"Test Using Larger Than Block-Size Key - Hash Key First"})),
            "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54");
  EXPECT_EQ(Hex(HmacSha256({}, {})),
            "b613679a0814d9ec772f95d778c35fc5ff1697c493715653c6c712144292c5ad");
}

// A client that cannot read a description cannot read any of the details.
TEST(StatusTest, FieldErrorsAreUtf8WhateverTheyQuote) {
  const absl::Status status = FieldError("a\xFF", "unexpected '\xC3'");
  EXPECT_EQ(status.message(), "a\xEF\xBF\xBD: unexpected '\xEF\xBF\xBD'");
  const std::vector<FieldViolation> violations = FieldViolationsOf(status);
  ASSERT_EQ(violations.size(), 1u);
  EXPECT_EQ(violations[0].description, "unexpected '\xEF\xBF\xBD'");
}

TEST(Utf8Test, TellsWellFormedUtf8FromOthers) {
  for (const char* good : {"", "plain", "gr\xC3\xBC\xC3\x9F", "\xE2\x82\xAC", "\xF0\x9F\x98\x80"}) {
    EXPECT_TRUE(IsValidUtf8(good)) << good;
  }
  // A lone continuation, overlong forms, a surrogate, beyond U+10FFFF, a sequence that breaks off.
  for (const char* bad : {"\x80", "\xC0\xAF", "\xE0\x80\x80", "\xED\xA0\x80", "\xF4\x90\x80\x80",
                          "\xE2\x82", "\xFF"}) {
    EXPECT_FALSE(IsValidUtf8(bad));
  }
}

TEST(Utf8Test, ReplacesOnlyTheBytesThatAreIllFormed) {
  EXPECT_EQ(ToUtf8("a\xFF\xC3\xBC\xE2\x82"), "a\xEF\xBF\xBD\xC3\xBC\xEF\xBF\xBD\xEF\xBF\xBD");
}

}  // namespace
}  // namespace penstock
