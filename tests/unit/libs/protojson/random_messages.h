// Random messages and texts, for tests against oracles.
#pragma once

#include <google/protobuf/message.h>
#include <google/protobuf/struct.pb.h>

#include <cstdint>
#include <random>
#include <string>

namespace penstock::protojson {

// Fills messages of any compiled-in type with random values that have a JSON form. The same seed
// gives the same messages.
class RandomMessages {
 public:
  // `negative_zero` says whether floating numbers may be -0.0.
  explicit RandomMessages(std::uint32_t seed, bool negative_zero = false)
      : random_(seed), negative_zero_(negative_zero) {}

  // Sets some of the fields. `depth` bounds how deep messages nest.
  void Fill(google::protobuf::Message* message, int depth = 0);

 private:
  bool Chance(std::uint32_t one_in) { return random_() % one_in == 0; }
  std::int64_t Integer();
  double Double();
  float Float();
  std::string Text();
  void FillValue(google::protobuf::Value* value, int depth);
  void FillMessage(google::protobuf::Message* message, int depth);
  void FillAny(google::protobuf::Message* message);
  void FillOne(google::protobuf::Message* message, const google::protobuf::FieldDescriptor* field,
               int depth);

  std::mt19937 random_;
  const bool negative_zero_;
};

// Whether two messages are equal, NaN to NaN as well.
bool SameMessage(const google::protobuf::Message& a, const google::protobuf::Message& b);

}  // namespace penstock::protojson
