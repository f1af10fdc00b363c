#include "services/gateway/api/http_metadata.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>
#include <string>

namespace penstock::gateway {
namespace {

using std::chrono::milliseconds;
using testing::ElementsAre;
using testing::IsEmpty;
using testing::Pair;

rpc::CallOptions OptionsOf(const http::Headers& headers, const HeaderRules& rules = {},
                           rpc::CallOptions options = {}) {
  const absl::Status status = AddCallMetadata(headers, rules, &options);
  EXPECT_TRUE(status.ok()) << status;
  return options;
}

std::string Refusal(const http::Headers& headers) {
  rpc::CallOptions options;
  const absl::Status status = AddCallMetadata(headers, {}, &options);
  return status.ok() ? "accepted" : std::string(status.message());
}

TEST(HttpMetadataTest, PassesWhatHasThePrefixOrIsConfigured) {
  const http::Headers headers{
      {"Grpc-Metadata-A", "1"}, {"GRPC-METADATA-b.c_d", "2"}, {"X-Tenant", "t"}, {"Cookie", "c"}};
  EXPECT_THAT(OptionsOf(headers, {.request = {"x-TENANT"}, .answer = {}}).metadata,
              ElementsAre(Pair("a", "1"), Pair("b.c_d", "2"), Pair("x-tenant", "t")));
}

TEST(HttpMetadataTest, KeepsReservedKeysOut) {
  const HeaderRules rules{.request = {"Host", "Connection", "penstock-peer-token"}, .answer = {}};
  EXPECT_THAT(OptionsOf({{"Grpc-Metadata-Grpc-Encoding", "gzip"},
                         {"Grpc-Metadata-Penstock-Peer-Token", "t"},
                         {"Grpc-Metadata-Content-Type", "x"},
                         {"Grpc-Metadata-TE", "x"},
                         {"Grpc-Metadata-:path", "/"},
                         {"Host", "h"},
                         {"Connection", "close"},
                         {"Penstock-Peer-Token", "t"}},
                        rules)
                  .metadata,
              IsEmpty());
}

TEST(HttpMetadataTest, NamesWhatGrpcCannotCarry) {
  EXPECT_THAT(Refusal({{"Grpc-Metadata-a!", "x"}}), testing::HasSubstr("Grpc-Metadata-a!: is no"));
  EXPECT_THAT(Refusal({{"Grpc-Metadata-A", "\xc3\xa9"}}), testing::HasSubstr("printable ASCII"));
  EXPECT_THAT(Refusal({{"Grpc-Metadata-A-Bin", "?"}}), testing::HasSubstr("expected base64"));
  EXPECT_EQ(Refusal({{"Grpc-Metadata-A", ""}}), "accepted");
}

TEST(HttpMetadataTest, DecodesBinaryValues) {
  EXPECT_THAT(OptionsOf({{"Grpc-Metadata-A-Bin", "AP8="},
                         {"Grpc-Metadata-B-Bin", "_-8"},
                         {"Grpc-Metadata-C-Bin", ""}})
                  .metadata,
              ElementsAre(Pair("a-bin", std::string("\0\xff", 2)),
                          Pair("b-bin", std::string("\xff\xef", 2)), Pair("c-bin", "")));
}

TEST(HttpMetadataTest, ReadsTimeouts) {
  EXPECT_EQ(ParseGrpcTimeout("2H").value(), std::chrono::hours(2));
  EXPECT_EQ(ParseGrpcTimeout("3M").value(), std::chrono::minutes(3));
  EXPECT_EQ(ParseGrpcTimeout("4S").value(), milliseconds(4000));
  EXPECT_EQ(ParseGrpcTimeout("99999999m").value(), milliseconds(99999999));
  EXPECT_EQ(ParseGrpcTimeout("1001u").value(), milliseconds(2));
  EXPECT_EQ(ParseGrpcTimeout("1n").value(), milliseconds(1));
  EXPECT_EQ(ParseGrpcTimeout("99999999H").value(), std::chrono::hours(365 * 24)) << "cut";
  for (const char* bad : {"", "1", "S", "123456789S", "1s", "-1S", "1.5S", " 1S", "1 S"}) {
    EXPECT_FALSE(ParseGrpcTimeout(bad).ok()) << bad;
  }
}

TEST(HttpMetadataTest, ATimeoutOnlyShortens) {
  const auto timeout_of = [](const char* given) {
    return OptionsOf({{"Grpc-Timeout", given}}, {}, {.timeout = milliseconds(500)}).timeout.value();
  };
  EXPECT_EQ(timeout_of("100m"), milliseconds(100));
  EXPECT_EQ(timeout_of("1S"), milliseconds(500));
  EXPECT_EQ(OptionsOf({{"Grpc-Timeout", "1S"}}).timeout, milliseconds(1000));
}

TEST(HttpMetadataTest, PassesTheTraceContextOn) {
  const char trace[] = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
  rpc::CallOptions options;
  AddTraceContext({{"traceparent", trace}, {"tracestate", "a=b"}}, &options);
  EXPECT_THAT(options.metadata, ElementsAre(Pair("traceparent", trace), Pair("tracestate", "a=b")));
  options = {};
  AddTraceContext({{"traceparent", "00-zz"}, {"tracestate", "a=b"}}, &options);
  EXPECT_THAT(options.metadata, IsEmpty());
}

}  // namespace
}  // namespace penstock::gateway
