// Protobuf's own JSON code as the oracle, on random messages.
//
// Known differences, all in how a value is written or what more is accepted: protobuf writes floats
// with more digits in places, escapes < and >, and does not sort maps; it reads -0 as 0; it accepts
// trailing commas, unquoted keys and duplicates, which are refused here.
#include <google/protobuf/util/json_util.h>
#include <gtest/gtest.h>

#include <boost/json.hpp>
#include <random>
#include <string>

#include "libs/protojson/protojson.h"
#include "tests/unit/libs/protojson/json_test.pb.h"
#include "tests/unit/libs/protojson/random_messages.h"

namespace penstock::protojson {
namespace {

using penstock::testing::json::Everything;

// A message as it looks after a trip over the wire, which drops doubled map keys.
Everything Canonical(const Everything& message) {
  Everything copy;
  copy.ParseFromString(message.SerializeAsString());
  return copy;
}

// Like operator== of Boost.JSON, but numbers are compared by value to seven digits.
bool SameJson(const boost::json::value& a, const boost::json::value& b) {
  if (a.is_number() && b.is_number()) {
    const double x = a.to_number<double>();
    const double y = b.to_number<double>();
    return std::abs(x - y) <= 1e-6 * std::max(std::abs(x), std::abs(y));
  }
  if (a.kind() != b.kind()) return false;
  if (a.is_array()) {
    if (a.as_array().size() != b.as_array().size()) return false;
    for (std::size_t i = 0; i < a.as_array().size(); ++i) {
      if (!SameJson(a.as_array()[i], b.as_array()[i])) return false;
    }
    return true;
  }
  if (a.is_object()) {
    if (a.as_object().size() != b.as_object().size()) return false;
    for (const auto& [key, value] : a.as_object()) {
      const auto* other = b.as_object().if_contains(key);
      if (other == nullptr || !SameJson(value, *other)) return false;
    }
    return true;
  }
  return a == b;
}

TEST(OracleTest, ProtobufAndThisCodeReadEachOther) {
  for (std::uint32_t seed = 0; seed < 400; ++seed) {
    RandomMessages generator(seed);
    Everything raw;
    generator.Fill(&raw, 0);
    const Everything message = Canonical(raw);
    std::string theirs;
    ASSERT_TRUE(google::protobuf::util::MessageToJsonString(message, &theirs).ok()) << seed;
    const auto ours = PrintJson(message);
    ASSERT_TRUE(ours.ok()) << seed << ours.status();

    Everything back;
    absl::Status status = ParseJson(theirs, &back);
    ASSERT_TRUE(status.ok()) << seed << status << theirs;
    EXPECT_TRUE(SameMessage(message, back)) << seed << theirs;

    status = ParseJson(*ours, &back);
    ASSERT_TRUE(status.ok()) << seed << status << *ours;
    EXPECT_TRUE(SameMessage(message, back)) << seed << *ours;

    back.Clear();
    ASSERT_TRUE(google::protobuf::util::JsonStringToMessage(*ours, &back).ok()) << seed << *ours;
    EXPECT_TRUE(SameMessage(message, back)) << seed << *ours;

    EXPECT_TRUE(SameJson(boost::json::parse(*ours), boost::json::parse(theirs))) << seed << "\n"
                                                                                 << *ours << "\n"
                                                                                 << theirs;
  }
}

TEST(OracleTest, RandomMutationsOfTextNeverBreakTheReader) {
  std::mt19937 random(11);
  int accepted = 0;
  for (int i = 0; i < 6000; ++i) {
    RandomMessages generator(static_cast<std::uint32_t>(i % 40));
    Everything message;
    generator.Fill(&message, 0);
    std::string text = *PrintJson(Canonical(message));
    for (std::uint32_t n = random() % 3 + 1; n > 0; --n) {
      const std::size_t at = random() % text.size();
      text[at] = "{}[],:\"\\0e-. utn1"[random() % 17];
    }
    Everything back;
    const absl::Status status = ParseJson(text, &back);
    if (!status.ok()) {
      ASSERT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
      continue;
    }
    ++accepted;
    // What was accepted can be written and read again.
    const auto again = PrintJson(back);
    if (again.ok()) {
      Everything third;
      ASSERT_TRUE(ParseJson(*again, &third).ok()) << text << *again;
    }
  }
  EXPECT_GT(accepted, 50);
}

}  // namespace
}  // namespace penstock::protojson
