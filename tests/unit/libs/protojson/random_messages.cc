#include "tests/unit/libs/protojson/random_messages.h"

#include <google/protobuf/any.pb.h>
#include <google/protobuf/duration.pb.h>
#include <google/protobuf/field_mask.pb.h>
#include <google/protobuf/timestamp.pb.h>
#include <google/protobuf/util/field_comparator.h>
#include <google/protobuf/util/message_differencer.h>
#include <google/rpc/error_details.pb.h>

#include <iterator>
#include <limits>

namespace penstock::protojson {

using google::protobuf::Descriptor;
using google::protobuf::FieldDescriptor;
using google::protobuf::Message;

void RandomMessages::Fill(Message* message, int depth) {
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

std::int64_t RandomMessages::Integer() {
  const std::uint64_t bits = (std::uint64_t{random_()} << 32) | random_();
  return static_cast<std::int64_t>(bits >> (random_() % 64));
}

std::string RandomMessages::Text() {
  static constexpr const char* kPieces[] = {
      "a", "Z", "0",   "\"", "\\", "\n", "é", "日", " ", "/", "<", "\t", "\xF0\x9F\x98\x80",
      "_", ".", "\x01"};
  std::string text;
  for (std::uint32_t n = random_() % 8; n > 0; --n) text += kPieces[random_() % 16];
  return text;
}

double RandomMessages::Double() {
  static constexpr double kSpecial[] = {-0.0,
                                        std::numeric_limits<double>::infinity(),
                                        -std::numeric_limits<double>::infinity(),
                                        std::numeric_limits<double>::quiet_NaN(),
                                        std::numeric_limits<double>::max(),
                                        std::numeric_limits<double>::min(),
                                        0.1};
  if (Chance(8)) {
    const double special = kSpecial[random_() % std::size(kSpecial)];
    return special == 0 && !negative_zero_ ? 0.0 : special;
  }
  return static_cast<double>(Integer()) / 4096;
}

float RandomMessages::Float() {
  if (Chance(8)) return static_cast<float>(Double());
  return static_cast<float>(Integer() % 100000) / 16;
}

void RandomMessages::FillValue(google::protobuf::Value* value, int depth) {
  switch (random_() % (depth > 3 ? 4 : 6)) {
    case 0: value->set_null_value(google::protobuf::NULL_VALUE); break;
    case 1: value->set_number_value(static_cast<double>(Integer()) / 1024); break;
    case 2: value->set_string_value(Text()); break;
    case 3: value->set_bool_value(Chance(2)); break;
    case 4: FillValue(value->mutable_list_value()->add_values(), depth + 1); break;
    default: FillValue(&(*value->mutable_struct_value()->mutable_fields())[Text()], depth + 1);
  }
}

void RandomMessages::FillMessage(Message* message, int depth) {
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
  } else if (name == "google.protobuf.Any") {
    FillAny(message);
  } else if (depth < 3 || name.starts_with("google.protobuf.")) {
    Fill(message, depth + 1);
  }
}

void RandomMessages::FillAny(Message* message) {
  auto* any = static_cast<google::protobuf::Any*>(message);
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

void RandomMessages::FillOne(Message* message, const FieldDescriptor* field, int depth) {
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
    PENSTOCK_FILL(DOUBLE, Double, Double())
    PENSTOCK_FILL(FLOAT, Float, Float())
    PENSTOCK_FILL(BOOL, Bool, Chance(2))
    PENSTOCK_FILL(STRING, String, Text())
    PENSTOCK_FILL(ENUM, EnumValue,
                  field->enum_type()
                      ->value(static_cast<int>(random_() % static_cast<std::uint32_t>(
                                                               field->enum_type()->value_count())))
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

bool SameMessage(const Message& a, const Message& b) {
  google::protobuf::util::DefaultFieldComparator comparator;
  comparator.set_treat_nan_as_equal(true);
  google::protobuf::util::MessageDifferencer differencer;
  differencer.set_field_comparator(&comparator);
  return differencer.Compare(a, b);
}

}  // namespace penstock::protojson
