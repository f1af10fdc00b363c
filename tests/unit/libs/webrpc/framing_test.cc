#include <gmock/gmock.h>
#include <zlib.h>

#include <string>

#include "libs/protojson/base64.h"
#include "libs/webrpc/content_type.h"
#include "libs/webrpc/envelope.h"
#include "libs/webrpc/gzip.h"
#include "libs/webrpc/text.h"

namespace penstock::webrpc {
namespace {

using testing::HasSubstr;

std::string Enveloped(std::uint8_t flags, std::string_view message) {
  std::string out;
  AppendEnvelope(flags, message, &out);
  return out;
}

std::string Base64(std::string_view bytes) {
  std::string text;
  protojson::AppendBase64(bytes, &text);
  return text;
}

std::string Gzipped(std::string_view bytes) {
  z_stream stream{};
  EXPECT_EQ(deflateInit2(&stream, 6, Z_DEFLATED, 15 + 16, 8, Z_DEFAULT_STRATEGY), Z_OK);
  std::string out(deflateBound(&stream, bytes.size()), '\0');
  stream.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(bytes.data()));
  stream.avail_in = static_cast<uInt>(bytes.size());
  stream.next_out = reinterpret_cast<Bytef*>(out.data());
  stream.avail_out = static_cast<uInt>(out.size());
  EXPECT_EQ(deflate(&stream, Z_FINISH), Z_STREAM_END);
  out.resize(stream.total_out);
  deflateEnd(&stream);
  return out;
}

TEST(ContentTypeTest, KnowsTheProtocolsAndTheirCodecs) {
  struct Row {
    std::string_view text;
    Protocol protocol;
    std::optional<Codec> codec;
  };
  for (const Row& row : {
           Row{"application/proto", Protocol::kConnect, Codec::kProto},
           {"application/json", Protocol::kConnect, Codec::kJson},
           {"Application/JSON; charset=utf-8", Protocol::kConnect, Codec::kJson},
           {"application/connect+proto", Protocol::kConnectStream, Codec::kProto},
           {"application/connect+json", Protocol::kConnectStream, Codec::kJson},
           {"application/connect+xml", Protocol::kConnectStream, std::nullopt},
           {"application/grpc-web", Protocol::kGrpcWeb, Codec::kProto},
           {"application/grpc-web+proto", Protocol::kGrpcWeb, Codec::kProto},
           {"application/grpc-web+thrift", Protocol::kGrpcWeb, std::nullopt},
           {"application/grpc-web-text", Protocol::kGrpcWebText, Codec::kProto},
           {"application/grpc-web-text+proto", Protocol::kGrpcWebText, Codec::kProto},
           {"application/grpc-web-text-base64", Protocol::kGrpcWebText, Codec::kProto},
       }) {
    const auto type = ParseContentType(row.text);
    ASSERT_TRUE(type) << row.text;
    EXPECT_EQ(type->protocol, row.protocol) << row.text;
    EXPECT_EQ(type->codec, row.codec) << row.text;
    if (row.codec && row.text.find(';') == row.text.npos) {
      EXPECT_EQ(ParseContentType(ContentTypeOf(row.protocol, *row.codec))->codec, row.codec);
    }
  }
  for (const char* text : {"", "text/plain", "application/grpc", "application/grpc+proto",
                           "application/grpc-webby", "application/xml", "json"}) {
    EXPECT_FALSE(ParseContentType(text)) << text;
  }
}

TEST(EnvelopeTest, TakesTheOneMessage) {
  EXPECT_EQ(Enveloped(2, "{}"), std::string("\x02\0\0\0\x02{}", 7));
  const std::string body = Enveloped(0, "abc");
  EXPECT_EQ(OnlyEnvelope(body)->message, "abc");
  EXPECT_FALSE(OnlyEnvelope(body)->is_compressed);
  const std::string empty = Enveloped(kCompressed, "");
  EXPECT_EQ(OnlyEnvelope(empty)->message, "");
  EXPECT_TRUE(OnlyEnvelope(empty)->is_compressed);
}

TEST(EnvelopeTest, SaysWhatIsWrong) {
  struct Row {
    std::string body;
    absl::StatusCode code;
    std::string_view error;
  };
  const std::string two = Enveloped(0, "a") + Enveloped(0, "b");
  for (const Row& row : {
           Row{"", absl::StatusCode::kUnimplemented, "has no message"},
           {std::string(4, '\0'), absl::StatusCode::kInvalidArgument, "4 of 5 bytes"},
           {Enveloped(0, "abc").substr(0, 7), absl::StatusCode::kInvalidArgument,
            "2 of its 3 bytes"},
           {std::string("\0\xFF\xFF\xFF\xFFx", 6), absl::StatusCode::kInvalidArgument,
            "1 of its 4294967295 bytes"},
           {Enveloped(kEndStream, "{}"), absl::StatusCode::kInvalidArgument, "flags 0x02"},
           {Enveloped(kTrailers, ""), absl::StatusCode::kInvalidArgument, "flags 0x80"},
           {two, absl::StatusCode::kUnimplemented, "6 bytes follow the first message"},
       }) {
    const auto envelope = OnlyEnvelope(row.body);
    ASSERT_FALSE(envelope.ok()) << row.error;
    EXPECT_EQ(envelope.status().code(), row.code) << row.error;
    EXPECT_THAT(std::string(envelope.status().message()), HasSubstr(std::string(row.error)));
  }
}

TEST(TextTest, DecodesPiecesWithTheirPadding) {
  std::string out;
  for (const auto& [text, bytes] : {std::pair<std::string, std::string>{"", ""},
                                    {Base64("a"), "a"},
                                    {Base64("a") + Base64("bc") + Base64("def"), "abcdef"},
                                    {Base64("abc") + Base64("d"), "abcd"}}) {
    EXPECT_TRUE(DecodeText(text, &out)) << text;
    EXPECT_EQ(out, bytes);
  }
  for (const char* text : {"YQ", "Y", "=", "====", "YQ==Y", "Y*==", "YQ== YQ==", "YQ===", "Y==="}) {
    EXPECT_FALSE(DecodeText(text, &out)) << text;
  }
}

TEST(GzipTest, DecompressesUpToALimit) {
  EXPECT_EQ(*Gunzip(Gzipped(""), 10), "");
  const std::string bytes(100'000, 'x');
  EXPECT_EQ(*Gunzip(Gzipped(bytes), bytes.size()), bytes);
  EXPECT_EQ(*Gunzip(Gzipped("ab") + Gzipped("") + Gzipped("c"), 10), "abc") << "several members";
  EXPECT_FALSE(Gunzip(Gzipped("ab") + Gzipped("c"), 2).ok());
  EXPECT_EQ(Gunzip(Gzipped(bytes), bytes.size() - 1).status().code(),
            absl::StatusCode::kResourceExhausted);
  const std::string whole = Gzipped("hello");
  for (const std::string& broken :
       {std::string(), std::string("plain text"), whole.substr(0, whole.size() - 1), whole + "x"}) {
    EXPECT_EQ(Gunzip(broken, 100).status().code(), absl::StatusCode::kInvalidArgument);
  }
}

}  // namespace
}  // namespace penstock::webrpc
