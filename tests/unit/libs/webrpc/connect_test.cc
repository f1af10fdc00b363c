#include "libs/webrpc/connect.h"

#include <gmock/gmock.h>
#include <google/rpc/error_details.pb.h>
#include <google/rpc/status.pb.h>

#include <string>

#include "libs/base/status.h"

namespace penstock::webrpc {
namespace {

using testing::HasSubstr;
using testing::StartsWith;

// The table of the specification.
TEST(ConnectTest, NamesEveryCodeAndGivesItItsHttpStatus) {
  struct Row {
    absl::StatusCode code;
    std::string_view name;
    int http_status;
  };
  for (const Row& row : {
           Row{absl::StatusCode::kCancelled, "canceled", 499},
           {absl::StatusCode::kUnknown, "unknown", 500},
           {absl::StatusCode::kInvalidArgument, "invalid_argument", 400},
           {absl::StatusCode::kDeadlineExceeded, "deadline_exceeded", 504},
           {absl::StatusCode::kNotFound, "not_found", 404},
           {absl::StatusCode::kAlreadyExists, "already_exists", 409},
           {absl::StatusCode::kPermissionDenied, "permission_denied", 403},
           {absl::StatusCode::kResourceExhausted, "resource_exhausted", 429},
           {absl::StatusCode::kFailedPrecondition, "failed_precondition", 400},
           {absl::StatusCode::kAborted, "aborted", 409},
           {absl::StatusCode::kOutOfRange, "out_of_range", 400},
           {absl::StatusCode::kUnimplemented, "unimplemented", 501},
           {absl::StatusCode::kInternal, "internal", 500},
           {absl::StatusCode::kUnavailable, "unavailable", 503},
           {absl::StatusCode::kDataLoss, "data_loss", 500},
           {absl::StatusCode::kUnauthenticated, "unauthenticated", 401},
       }) {
    EXPECT_EQ(ConnectCode(row.code), row.name);
    EXPECT_EQ(HttpStatusOf(row.code), row.http_status) << row.name;
  }
  EXPECT_EQ(ConnectCode(static_cast<absl::StatusCode>(77)), "unknown");
}

TEST(ConnectTest, WritesErrors) {
  EXPECT_EQ(ErrorJson({absl::StatusCode::kUnavailable, "", ""}), R"({"code":"unavailable"})");
  EXPECT_EQ(ErrorJson({absl::StatusCode::kNotFound, "no \"x\"", "\xFF no status"}),
            R"({"code":"not_found","message":"no \"x\""})");
}

TEST(ConnectTest, WritesDetailsOfTypesThatAreKnownAndThatAreNot) {
  google::rpc::Status status;
  google::rpc::RetryInfo retry;
  retry.mutable_retry_delay()->set_seconds(60);
  status.add_details()->PackFrom(retry);
  auto* unknown = status.add_details();
  unknown->set_type_url("type.googleapis.com/acme.v1.Unknown");
  unknown->set_value("\xFB\xFF\x01\x02");
  EXPECT_EQ(ErrorJson({absl::StatusCode::kUnavailable, "m", status.SerializeAsString()}),
            R"({"code":"unavailable","message":"m","details":[)"
            R"({"type":"google.rpc.RetryInfo","value":"CgIIPA","debug":{"retryDelay":"60s"}},)"
            R"({"type":"acme.v1.Unknown","value":"+/8BAg"}]})");
}

TEST(ConnectTest, WritesTheEndOfAStream) {
  EXPECT_EQ(EndOfStreamJson({}, {}), "{}");
  EXPECT_EQ(EndOfStreamJson({absl::StatusCode::kAborted, "m", ""}, {}),
            R"({"error":{"code":"aborted","message":"m"}})");
  EXPECT_EQ(EndOfStreamJson({}, {{"b", "1"}, {"a-bin", "AQ"}, {"b", "2"}}),
            R"({"metadata":{"a-bin":["AQ"],"b":["1","2"]}})");
}

TEST(ConnectTest, ReadsTimeouts) {
  EXPECT_EQ(ParseConnectTimeout("0")->count(), 0);
  EXPECT_EQ(ParseConnectTimeout("9999999999")->count(), 9'999'999'999);
  for (const char* text : {"", "-1", "+1", "1.5", "1s", " 1", "10000000000", "x"}) {
    const auto parsed = ParseConnectTimeout(text);
    ASSERT_FALSE(parsed.ok()) << text;
    EXPECT_THAT(std::string(parsed.status().message()), StartsWith("Connect-Timeout-Ms:"));
  }
}

TEST(ConnectTest, KnowsTheQueriesOfItsGets) {
  EXPECT_EQ(GetVersion("connect=v1"), "v1");
  EXPECT_EQ(GetVersion("message=&encoding=json&connect=v7"), "v7");
  for (const char* query : {"", "message=&encoding=json", "connected=1", "a=connect=v1"}) {
    EXPECT_FALSE(GetVersion(query)) << query;
  }
}

TEST(ConnectTest, ReadsTheQueryOfAGet) {
  auto query = ParseGetQuery("x=%&message=%7B%22a%22%3A+1%7D&encoding=json&connect=v1");
  ASSERT_TRUE(query.ok()) << query.status();
  EXPECT_EQ(query->message, R"({"a": 1})");
  EXPECT_EQ(query->encoding, "json");
  EXPECT_EQ(query->version, "v1");
  for (const char* text : {"base64=1&encoding=proto&message=-_8BAg",
                           "message=-_8BAg%3D%3D&encoding=proto&base64=1&compression=gzip"}) {
    query = ParseGetQuery(text);
    ASSERT_TRUE(query.ok()) << query.status();
    EXPECT_EQ(query->message, "\xFB\xFF\x01\x02");
  }
  EXPECT_EQ(query->compression, "gzip");
  // Other values of base64 count for nothing.
  EXPECT_EQ(ParseGetQuery("base64=0&encoding=proto&message=YQ")->message, "YQ");
}

TEST(ConnectTest, SaysWhatIsWrongWithTheQueryOfAGet) {
  struct Row {
    std::string_view query;
    std::string_view error;
  };
  for (const Row& row : {
           Row{"connect=v1&message=a", "encoding: is missing"},
           {"connect=v1&encoding=json", "message: is missing"},
           {"encoding=json&message=a&message=b", "message: is there twice"},
           {"encoding=json&message=%7", "message: is not percent-encoded"},
           {"encoding=%zz&message=", "encoding: is not percent-encoded"},
           {"encoding=proto&base64=1&message=*", "message: is not base64"},
       }) {
    const auto query = ParseGetQuery(row.query);
    ASSERT_FALSE(query.ok()) << row.query;
    EXPECT_THAT(std::string(query.status().message()), HasSubstr(std::string(row.error)));
  }
}

}  // namespace
}  // namespace penstock::webrpc
