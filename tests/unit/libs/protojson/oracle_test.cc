// Protobuf's own JSON code as the oracle, on random messages.
//
// Known differences, all in how a value is written or what more is accepted: protobuf writes floats
// with more digits in places, escapes < and >, and does not sort maps; it accepts trailing commas,
// unquoted keys and duplicates, which are refused here.
#include <google/protobuf/util/json_util.h>
#include <google/protobuf/util/message_differencer.h>
#include <google/rpc/error_details.pb.h>
#include <gtest/gtest.h>

#include <boost/json.hpp>
#include <random>
#include <string>

#include "libs/protojson/protojson.h"
#include "tests/unit/libs/protojson/json_test.pb.h"

namespace penstock::protojson {
namespace {

using google::protobuf::Descriptor;
using google::protobuf::FieldDescriptor;
using google::protobuf::Message;
using google::protobuf::util::MessageDifferencer;
using penstock::testing::json::Everything;

class Generator {
 public:
  explicit Generator(std::uint32_t seed) : random_(seed) {}

  void Fill(Message* message, int depth) {
    const Descriptor* type = message->GetDescriptor();
    for (int i = 0; i < type->field_count(); ++i) {
      const FieldDescriptor* field = type->field(i);
      if (!Chance(field->is_repeated() || depth > 0 ? 4 : 2)) continue;
      if (!field->is_repeated()) {
        FillOne(message, field, depth);
        continue;
      }
      for (std::uint32_t n = random_() % 3; n > 0; --n) FillOne(message, field, depth);
    }
  }

 private:
  bool Chance(std::uint32_t one_in) { return random_() % one_in == 0; }

  std::int64_t Integer() {
    const std::uint64_t bits = (std::uint64_t{random_()} << 32) | random_();
    return static_cast<std::int64_t>(bits >> (random_() % 64));
  }

  std::string Text() {
    static constexpr const char* kPieces[] = {
        "a", "Z", "0",   "\"", "\\", "\n", "é", "日", " ", "/", "<", "\t", "\xF0\x9F\x98\x80",
        "_", ".", "\x01"};
    std::string text;
    for (std::uint32_t n = random_() % 8; n > 0; --n) text += kPieces[random_() % 16];
    return text;
  }

  void FillValue(google::protobuf::Value* value, int depth) {
    switch (random_() % (depth > 3 ? 4 : 6)) {
      case 0: value->set_null_value(google::protobuf::NULL_VALUE); break;
      case 1: value->set_number_value(static_cast<double>(Integer()) / 1024); break;
      case 2: value->set_string_value(Text()); break;
      case 3: value->set_bool_value(Chance(2)); break;
      case 4: FillValue(value->mutable_list_value()->add_values(), depth + 1); break;
      default: FillValue(&(*value->mutable_struct_value()->mutable_fields())[Text()], depth + 1);
    }
  }

  void FillMessage(Message* message, int depth) {
    const std::string& name = message->GetDescriptor()->full_name();
    if (auto* time = dynamic_cast<google::protobuf::Timestamp*>(message)) {
      time->set_seconds(Integer() % 60000000000);
      time->set_nanos(static_cast<int>(random_() % 4) * 250000000);
    } else if (auto* duration = dynamic_cast<google::protobuf::Duration*>(message)) {
      duration->set_seconds(Integer() % 1000);
      duration->set_nanos(duration->seconds() < 0 ? -5000 : 123456789);
    } else if (auto* mask = dynamic_cast<google::protobuf::FieldMask*>(message)) {
      mask->add_paths("foo_bar.baz");
      mask->add_paths("qux");
    } else if (auto* fields = dynamic_cast<google::protobuf::Struct*>(message)) {
      FillValue(&(*fields->mutable_fields())[Text()], depth);
    } else if (auto* value = dynamic_cast<google::protobuf::Value*>(message)) {
      FillValue(value, depth);
    } else if (auto* list = dynamic_cast<google::protobuf::ListValue*>(message)) {
      FillValue(list->add_values(), depth);
    } else if (auto* any = dynamic_cast<google::protobuf::Any*>(message)) {
      FillAny(any);
    } else if (depth < 3 || name.starts_with("google.protobuf.")) {
      Fill(message, depth + 1);
    }
  }

  void FillAny(google::protobuf::Any* any) {
    if (Chance(2)) {
      google::rpc::ErrorInfo info;
      info.set_reason(Text());
      any->PackFrom(info);
    } else {
      google::protobuf::Timestamp time;
      time.set_seconds(random_());
      any->PackFrom(time);
    }
  }

  void FillOne(Message* message, const FieldDescriptor* field, int depth) {
    const auto* reflection = message->GetReflection();
    const bool add = field->is_repeated();
    switch (field->cpp_type()) {
#define PENSTOCK_FILL(TYPE, Name, value)            \
  case FieldDescriptor::CPPTYPE_##TYPE:             \
    if (add) {                                      \
      reflection->Add##Name(message, field, value); \
    } else {                                        \
      reflection->Set##Name(message, field, value); \
    }                                               \
    return;
      PENSTOCK_FILL(INT32, Int32, static_cast<std::int32_t>(Integer()))
      PENSTOCK_FILL(INT64, Int64, Integer())
      PENSTOCK_FILL(UINT32, UInt32, static_cast<std::uint32_t>(Integer()))
      PENSTOCK_FILL(UINT64, UInt64, static_cast<std::uint64_t>(Integer()))
      PENSTOCK_FILL(DOUBLE, Double, static_cast<double>(Integer()) / 4096)
      PENSTOCK_FILL(FLOAT, Float, static_cast<float>(Integer() % 100000) / 16)
      PENSTOCK_FILL(BOOL, Bool, Chance(2))
      PENSTOCK_FILL(STRING, String, Text())
      PENSTOCK_FILL(
          ENUM, EnumValue,
          field->enum_type()
              ->value(static_cast<int>(random_()) & 0x7fffffff % field->enum_type()->value_count())
              ->number())
#undef PENSTOCK_FILL
      case FieldDescriptor::CPPTYPE_MESSAGE: break;
    }
    Message* child =
        add ? reflection->AddMessage(message, field) : reflection->MutableMessage(message, field);
    if (field->is_map()) {
      FillOne(child, field->message_type()->map_key(), depth);
      FillOne(child, field->message_type()->map_value(), depth);
    } else {
      FillMessage(child, depth);
    }
  }

  std::mt19937 random_;
};

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
    Generator generator(seed);
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
    EXPECT_TRUE(MessageDifferencer::Equals(message, back)) << seed << theirs;

    status = ParseJson(*ours, &back);
    ASSERT_TRUE(status.ok()) << seed << status << *ours;
    EXPECT_TRUE(MessageDifferencer::Equals(message, back)) << seed << *ours;

    back.Clear();
    ASSERT_TRUE(google::protobuf::util::JsonStringToMessage(*ours, &back).ok()) << seed << *ours;
    EXPECT_TRUE(MessageDifferencer::Equals(message, back)) << seed << *ours;

    EXPECT_TRUE(SameJson(boost::json::parse(*ours), boost::json::parse(theirs))) << seed << "\n"
                                                                                 << *ours << "\n"
                                                                                 << theirs;
  }
}

TEST(OracleTest, RandomMutationsOfTextNeverBreakTheReader) {
  std::mt19937 random(11);
  int accepted = 0;
  for (int i = 0; i < 6000; ++i) {
    Generator generator(static_cast<std::uint32_t>(i % 40));
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
