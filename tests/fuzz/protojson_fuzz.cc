// JSON to messages, by reflection and by generated code: what is read has a JSON form, which is
// read as the same message, and generated code takes and writes nothing that reflection does not.
#include <penstock/fuzz/sample.pb.h>

#include <string>

#include "libs/protojson/codec.h"
#include "libs/protojson/deterministic.h"
#include "tests/fuzz/check.h"

namespace penstock::protojson {
namespace {

void CheckPrints(const fuzz::Sample& message, const PrintOptions& options) {
  std::string text;
  FUZZ_CHECK(AppendJsonByReflection(message, &text, options).ok());
  std::string by_codec;
  if (AppendJsonByCodec(message, &by_codec, options)) FUZZ_CHECK(by_codec == text);
  fuzz::Sample again;
  FUZZ_CHECK(ParseJson(text, &again).ok());
  const auto twice = PrintJson(again, options);
  FUZZ_CHECK(twice.ok());
  FUZZ_CHECK(text == *twice);
}

void CheckReads(std::string_view text, const ParseOptions& options) {
  fuzz::Sample message;
  const bool is_good = ParseJsonByReflection(text, &message, options).ok();
  fuzz::Sample by_codec;
  if (ParseJsonByCodec(text, &by_codec, options)) {
    FUZZ_CHECK(is_good);
    // Unlike a comparison of fields this also tells 0 from -0.
    FUZZ_CHECK(SerializeDeterministic(message) == SerializeDeterministic(by_codec));
  }
  if (!is_good) return;
  CheckPrints(message, {});
  CheckPrints(message, {.pretty = true});
}

}  // namespace
}  // namespace penstock::protojson

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace penstock;
  FUZZ_CHECK(protojson::HasJsonCodec(fuzz::Sample::descriptor()));
  const std::string_view text = FuzzText(data, size);
  protojson::CheckReads(text, {});
  protojson::CheckReads(text, {.ignore_unknown_fields = true, .max_depth = 5});
  return 0;
}
