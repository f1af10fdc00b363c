// Names and presence in generated code.
#include <gtest/gtest.h>

#include <string>

#include "libs/protojson/codec.h"
#include "tests/unit/libs/protojson/names_test.pb.h"
#include "tests/unit/libs/protojson/random_messages.h"

namespace penstock::protojson {
namespace {

using penstock::testing::json::Names;

// The message that both ways read from `text`, after checking that both write it the same.
Names Read(const std::string& text, const ParseOptions& options = {}) {
  Names by_codec;
  Names by_reflection;
  EXPECT_TRUE(ParseJsonByCodec(text, &by_codec, options)) << text;
  EXPECT_TRUE(ParseJsonByReflection(text, &by_reflection, options).ok()) << text;
  EXPECT_TRUE(SameMessage(by_codec, by_reflection)) << text;
  std::string written;
  std::string expected;
  EXPECT_TRUE(AppendJsonByCodec(by_codec, &written));
  EXPECT_TRUE(AppendJsonByReflection(by_codec, &expected).ok());
  EXPECT_EQ(written, expected);
  return by_codec;
}

TEST(CodecNamesTest, WordsOfGeneratedCodeMayBeNames) {
  const std::string text =
      R"({"in":"a","out":"b","name":["c"],"key":{"k":"d"},"message":{"message":"e"},"number":1,)"
      R"("known":true,"value":["FIRST"],"class":"int","to":"f","from":"g","namespace":"h",)"
      R"("operator":{"1":"FIRST"}})";
  const Names message = Read(text);
  EXPECT_EQ(message.namespace_(), "h");
  std::string written;
  ASSERT_TRUE(AppendJsonByCodec(message, &written));
  EXPECT_EQ(written, text);
  Names refused;
  EXPECT_FALSE(ParseJsonByCodec(R"({"namespace":"h","switch":"FIRST"})", &refused));
}

TEST(CodecNamesTest, AliasesAreReadAndTheFirstNameIsWritten) {
  std::string written;
  ASSERT_TRUE(AppendJsonByCodec(Read(R"({"value":["SECOND",1,"FIRST",9]})"), &written));
  EXPECT_EQ(written, R"({"value":["FIRST","FIRST","FIRST",9]})");
}

TEST(CodecNamesTest, UnknownEnumNamesInMapsBecomeTheDefaultWhenIgnored) {
  const Names message =
      Read(R"({"operator":{"1":"PINK"},"value":["PINK"],"switch":"PINK","optionalEnum":"PINK"})",
           {.ignore_unknown_fields = true});
  EXPECT_EQ(message.operator_().at(1), Names::ALIAS_UNSPECIFIED);
  EXPECT_EQ(message.value_size(), 0);
  EXPECT_FALSE(message.has_optional_enum());
}

TEST(CodecNamesTest, PresenceIsKept) {
  const std::string text =
      R"({"optionalInt":0,"optionalString":"","optionalEnum":"ALIAS_UNSPECIFIED",)"
      R"("optionalBytes":"","optionalMessage":{}})";
  const Names message = Read(text);
  EXPECT_TRUE(message.has_optional_int());
  EXPECT_TRUE(message.has_optional_bytes());
  std::string written;
  ASSERT_TRUE(AppendJsonByCodec(message, &written));
  EXPECT_EQ(written, text);
  EXPECT_FALSE(Read(R"({"optionalInt":null,"optionalMessage":null})").has_optional_int());
}

TEST(CodecNamesTest, JsonNamesGoBeforeOriginalNames) {
  const Names message = Read(R"({"other_name":"a","otherName":"b","a\"b\\?? é":"c"})");
  EXPECT_EQ(message.taken_name(), "a");
  EXPECT_EQ(message.other_name(), "b");
  EXPECT_EQ(message.quoted(), "c");
  EXPECT_EQ(Read(R"({"taken_name":"a"})").taken_name(), "a");
}

TEST(CodecNamesTest, EmptyListsInNestedListResponses) {
  std::string written;
  ASSERT_TRUE(AppendJsonByCodec(Read(R"({"message":{"response":{}}})"), &written));
  EXPECT_EQ(written, R"({"message":{"response":{"seen":[]}}})");
}

TEST(CodecNamesTest, MessagesOfOtherFilesAreReadByTheirCodec) {
  const Names message =
      Read(R"({"color":"COLOR_RED","everything":[{"int32Field":7},{"stringMap":{"a":"b"}}]})");
  EXPECT_EQ(message.everything(0).int32_field(), 7);
  EXPECT_TRUE(HasJsonCodec(Names::descriptor()));
  EXPECT_TRUE(HasJsonCodec(Names::Message::ListResponse::descriptor()));
  EXPECT_FALSE(HasJsonCodec(google::protobuf::Any::descriptor()));
}

TEST(CodecNamesTest, RandomMessages) {
  for (std::uint32_t seed = 0; seed < 2000; ++seed) {
    Names raw;
    protojson::RandomMessages(seed, true).Fill(&raw);
    Names message;
    message.ParseFromString(raw.SerializeAsString());
    std::string text;
    ASSERT_TRUE(AppendJsonByCodec(message, &text)) << seed;
    ASSERT_TRUE(SameMessage(Read(text), message)) << seed << text;
  }
}

}  // namespace
}  // namespace penstock::protojson
