#include "services/gateway/api/receipts.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "libs/base/status.h"

namespace penstock::gateway {
namespace {

using testing::HasSubstr;

Receipt Taken(std::string id, std::int64_t sequence) {
  Receipt receipt{std::move(id), {}};
  receipt.result.sequence = sequence;
  return receipt;
}

Receipt Refused(std::string id, absl::Status status) {
  return {std::move(id), {.status = std::move(status)}};
}

TEST(ReceiptJsonTest, SaysWhatBecameOfTheEvent) {
  EXPECT_EQ(ReceiptJson("a\"b", {.sequence = 17}),
            R"({"id":"a\"b","sequence":"17","status":"ACCEPTED"})");
  EXPECT_EQ(ReceiptJson("a", {.sequence = 3, .duplicate = true}),
            R"({"id":"a","sequence":"3","status":"DUPLICATE"})");
  EXPECT_EQ(ReceiptJson("a", {.sequence = 3, .duplicate = true, .content_differs = true}),
            R"({"id":"a","sequence":"3","status":"DUPLICATE","contentDiffers":true})");
  const WallTime due = *ParseRfc3339("2026-01-02T03:04:05.5Z");
  EXPECT_EQ(ReceiptJson("a", {.scheduled = true, .due = due}),
            R"({"id":"a","status":"SCHEDULED","dueTime":"2026-01-02T03:04:05.500Z"})");
  EXPECT_EQ(ReceiptJson("a", {.duplicate = true, .content_differs = true, .due = due}),
            R"({"id":"a","status":"DUPLICATE","dueTime":"2026-01-02T03:04:05.500Z",)"
            R"("contentDiffers":true})");
}

TEST(BatchAnswerTest, Is202WhenAllWereTaken) {
  const auto answer = BatchAnswer({Taken("a", 1), Taken("b", 2)});
  EXPECT_EQ(answer.status, 202);
  EXPECT_EQ(answer.body, R"([{"id":"a","sequence":"1","status":"ACCEPTED"},)"
                         R"({"id":"b","sequence":"2","status":"ACCEPTED"}])");
  EXPECT_EQ(BatchAnswer({}).status, 202);
  EXPECT_EQ(BatchAnswer({}).body, "[]");
}

TEST(BatchAnswerTest, Is207WhenSomeWere) {
  const auto answer = BatchAnswer({Taken("a", 1), Refused("", FieldError("type", "missing"))});
  EXPECT_EQ(answer.status, 207);
  EXPECT_THAT(answer.body, HasSubstr(R"(,{"error":{"code":3,)"));
}

TEST(BatchAnswerTest, SaysWhyNoneWas) {
  const absl::Status bad = FieldError("type", "missing");
  const absl::Status lost = absl::UnavailableError("lost");
  EXPECT_EQ(BatchAnswer({Refused("a", bad), Refused("b", bad)}).status, 400);
  EXPECT_EQ(BatchAnswer({Refused("a", lost), Refused("b", lost)}).status, 503);
  EXPECT_EQ(BatchAnswer({Refused("a", lost), Refused("b", bad)}).status, 400);
  EXPECT_EQ(BatchAnswer({Refused("a", absl::ResourceExhaustedError("full"))}).status, 429);
}

}  // namespace
}  // namespace penstock::gateway
