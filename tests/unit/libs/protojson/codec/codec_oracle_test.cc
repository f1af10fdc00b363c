// Generated codecs against reflection and against protobuf's own JSON code, on random messages.
//
// Against reflection nothing may differ. Differences from google::protobuf::util that are meant:
// - written: floats have the fewest digits, < and > are not escaped, maps are sorted by key;
//   events have the CloudEvents form (docs/decisions/0002-cloudevents-json.md);
// - read: trailing commas, unquoted names, single quotes, names given twice, enum values of another
//   case and null in lists are refused; an original field name in a FieldMask is taken; -0 keeps
//   its sign.
// So texts are compared by reading each other's.
#include <google/protobuf/util/json_util.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <random>
#include <string>

#include "libs/protojson/codec.h"
#include "tests/unit/libs/protojson/json_test.pb.h"
#include "tests/unit/libs/protojson/random_messages.h"

namespace penstock::protojson {
namespace {

using penstock::testing::json::Everything;

// How many messages a test tries: a million and more by PENSTOCK_CODEC_FUZZ=1000000.
std::uint32_t Rounds(std::uint32_t usual) {
  const char* wanted = std::getenv("PENSTOCK_CODEC_FUZZ");
  return wanted == nullptr ? usual : static_cast<std::uint32_t>(std::strtoul(wanted, nullptr, 10));
}

Everything RandomMessage(std::uint32_t seed, bool negative_zero = true) {
  Everything raw;
  RandomMessages(seed, negative_zero).Fill(&raw);
  Everything message;  // after a trip over the wire, which drops doubled map keys
  message.ParseFromString(raw.SerializeAsString());
  return message;
}

TEST(CodecOracleTest, WritesWhatReflectionWritesAndReadsItBack) {
  const std::uint32_t rounds = Rounds(20000);
  for (std::uint32_t seed = 0; seed < rounds; ++seed) {
    const Everything message = RandomMessage(seed);
    const PrintOptions options{.pretty = seed % 8 == 0};
    std::string by_codec;
    ASSERT_TRUE(AppendJsonByCodec(message, &by_codec, options)) << seed;
    std::string by_reflection;
    ASSERT_TRUE(AppendJsonByReflection(message, &by_reflection, options).ok()) << seed;
    ASSERT_EQ(by_codec, by_reflection) << seed;

    Everything back;
    ASSERT_TRUE(ParseJsonByCodec(by_codec, &back)) << seed << by_codec;
    ASSERT_TRUE(SameMessage(message, back)) << seed << by_codec;
  }
}

TEST(CodecOracleTest, ProtobufAndCodecsReadEachOther) {
  const std::uint32_t rounds = Rounds(10000);
  for (std::uint32_t seed = 0; seed < rounds; ++seed) {
    const Everything message = RandomMessage(seed, false);
    std::string theirs;
    ASSERT_TRUE(google::protobuf::util::MessageToJsonString(message, &theirs).ok()) << seed;
    Everything back;
    ASSERT_TRUE(ParseJsonByCodec(theirs, &back)) << seed << theirs;
    ASSERT_TRUE(SameMessage(message, back)) << seed << theirs;

    std::string ours;
    ASSERT_TRUE(AppendJsonByCodec(message, &ours)) << seed;
    back.Clear();
    ASSERT_TRUE(google::protobuf::util::JsonStringToMessage(ours, &back).ok()) << seed << ours;
    ASSERT_TRUE(SameMessage(message, back)) << seed << ours;
  }
}

// A text with some of its tokens replaced, removed or put in.
std::string Mutated(std::string text, std::mt19937& random) {
  static constexpr const char* kTokens[] = {"null",
                                            "true",
                                            "1",
                                            "-0",
                                            "1.0",
                                            "1e3",
                                            "0.5",
                                            "\"\"",
                                            "\"1\"",
                                            "\"NaN\"",
                                            "[]",
                                            "{}",
                                            ",",
                                            ":",
                                            "{",
                                            "}",
                                            "[",
                                            "]",
                                            " ",
                                            "\n",
                                            "\"",
                                            "\\u0041",
                                            "\\ud83d\\ude00",
                                            "\\ud83d",
                                            "\x80",
                                            "\xC3\xA9",
                                            "\"unknown\":1,",
                                            "\"name\":\"a\",",
                                            "\"COLOR_RED\"",
                                            "1e400",
                                            "-",
                                            "01",
                                            "\"choiceText\":\"a\",",
                                            "\"int32Field\":7,",
                                            "99999999999999999999"};
  for (std::uint32_t n = random() % 2 + 1; n > 0; --n) {
    const std::size_t at = random() % text.size();
    std::size_t size = 0;
    if (random() % 2 == 0) {  // what stands there up to the next punctuation
      size = text.find_first_of(",:{}[]\"", at + 1);
      size = size == std::string::npos ? 1 : size - at;
    }
    text.replace(at, size, kTokens[random() % std::size(kTokens)]);
  }
  return text;
}

TEST(CodecOracleTest, TakesNoTextThatReflectionRefuses) {
  const std::uint32_t rounds = Rounds(40000);
  std::mt19937 random(17);
  std::uint32_t taken = 0;
  std::uint32_t left = 0;
  for (std::uint32_t i = 0; i < rounds; ++i) {
    std::string text;
    ASSERT_TRUE(AppendJsonByReflection(RandomMessage(i % 500), &text).ok());
    text = Mutated(text, random);
    const ParseOptions options{.ignore_unknown_fields = i % 3 == 0,
                               .max_depth = i % 5 == 0 ? 3 : kMaxDepth};
    Everything by_reflection;
    const absl::Status status = ParseJsonByReflection(text, &by_reflection, options);
    Everything by_codec;
    if (!ParseJsonByCodec(text, &by_codec, options)) {
      if (status.ok()) ++left;
      continue;
    }
    ++taken;
    ASSERT_TRUE(status.ok()) << text << "\n" << status;
    ASSERT_TRUE(SameMessage(by_reflection, by_codec)) << text;
  }
  EXPECT_GT(taken, rounds / 50);
  // Only numbers of unusual length are left to reflection.
  EXPECT_LE(left, rounds / 10000) << "right texts that codecs gave up on";
}

}  // namespace
}  // namespace penstock::protojson
