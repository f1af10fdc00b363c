#include "libs/rpc/status.h"

#include <gtest/gtest.h>

#include <set>
#include <string>

#include "libs/base/status.h"

namespace penstock::rpc {
namespace {

TEST(RpcStatusTest, EveryCodeSurvivesTheRoundTrip) {
  for (int code = 1; code <= 16; ++code) {
    const absl::Status status(static_cast<absl::StatusCode>(code), "message");
    EXPECT_EQ(FromGrpcStatus(ToGrpcStatus(status)), status);
  }
  EXPECT_TRUE(ToGrpcStatus(absl::OkStatus()).ok());
  EXPECT_TRUE(FromGrpcStatus(grpc::Status::OK).ok());
}

TEST(RpcStatusTest, UnknownPayloadsPassUnchanged) {
  absl::Status status = absl::AbortedError("stale");
  status.SetPayload("type.example.com/foreign.Detail", absl::Cord(std::string("\0\xff", 2)));
  EXPECT_EQ(FromGrpcStatus(ToGrpcStatus(status)), status);
}

TEST(RpcStatusTest, DetailsOfOneTypePassEach) {
  google::rpc::Status given;
  given.set_code(9);
  for (const char* value : {"a", "b", "c"}) {
    google::protobuf::Any* detail = given.add_details();
    detail->set_type_url("type.example.com/acme.Hint");
    detail->set_value(value);
  }
  const google::rpc::Status got = ToProtoStatus(FromProtoStatus(given));
  std::multiset<std::string> values;
  for (const google::protobuf::Any& detail : got.details()) {
    EXPECT_EQ(detail.type_url(), "type.example.com/acme.Hint");
    values.insert(detail.value());
  }
  EXPECT_EQ(values, (std::multiset<std::string>{"a", "b", "c"}));
}

TEST(RpcStatusTest, DetailsThatDoNotParseAreDropped) {
  const absl::Status status =
      FromGrpcStatus(grpc::Status(grpc::StatusCode::NOT_FOUND, "gone", "\xff\xff\xff garbage"));
  EXPECT_EQ(status, absl::NotFoundError("gone"));
}

TEST(RpcStatusTest, ThePeersDetailsDoNotChangeTheCode) {
  google::rpc::Status lie;
  lie.set_code(0);
  lie.set_message("all is well");
  const absl::Status status =
      FromGrpcStatus(grpc::Status(grpc::StatusCode::INTERNAL, "broken", lie.SerializeAsString()));
  EXPECT_EQ(status, absl::InternalError("broken"));
}

}  // namespace
}  // namespace penstock::rpc
