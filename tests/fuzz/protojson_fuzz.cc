// JSON to messages: what is read has a JSON form, which is read as the same message.
#include <penstock/fuzz/sample.pb.h>

#include "libs/protojson/protojson.h"
#include "tests/fuzz/check.h"

namespace penstock::protojson {
namespace {

void CheckPrints(const fuzz::Sample& message, const PrintOptions& options) {
  const auto text = PrintJson(message, options);
  FUZZ_CHECK(text.ok());
  fuzz::Sample again;
  FUZZ_CHECK(ParseJson(*text, &again).ok());
  const auto twice = PrintJson(again, options);
  FUZZ_CHECK(twice.ok());
  FUZZ_CHECK(*text == *twice);
}

}  // namespace
}  // namespace penstock::protojson

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace penstock;
  const std::string_view text = FuzzText(data, size);
  fuzz::Sample message;
  if (protojson::ParseJson(text, &message).ok()) {
    protojson::CheckPrints(message, {});
    protojson::CheckPrints(message, {.pretty = true});
  }
  fuzz::Sample lenient;
  if (protojson::ParseJson(text, &lenient, {.ignore_unknown_fields = true}).ok()) {
    protojson::CheckPrints(lenient, {});
  }
  return 0;
}
