// The JSON format of CloudEvents: what is read and valid is the same after being written and read.
#include <string>
#include <string_view>

#include "libs/cloudevents/json_format.h"
#include "libs/cloudevents/validate.h"
#include "tests/fuzz/check.h"

namespace penstock::cloudevents {
namespace {

// Line breaks between the tokens of a JSON payload are not written again: events stay on one line.
std::string OnOneLine(std::string_view data) {
  std::string line(data);
  std::erase_if(line, [](char c) { return c == '\n' || c == '\r'; });
  return line;
}

bool HasSameData(const CloudEvent& a, const CloudEvent& b) {
  if (Data(a) == Data(b)) return true;
  return IsJsonContentType(DataContentType(a)) && OnOneLine(Data(a)) == OnOneLine(Data(b));
}

void CheckEvent(const CloudEvent& event) {
  if (!Validate(event).ok()) return;
  const auto text = ToJson(event);
  FUZZ_CHECK(text.ok());
  const auto again = FromJson(*text);
  FUZZ_CHECK(again.ok());
  FUZZ_CHECK(Validate(*again).ok());
  const auto twice = ToJson(*again);
  FUZZ_CHECK(twice.ok());
  FUZZ_CHECK(*text == *twice);
  FUZZ_CHECK(event.id() == again->id() && event.source() == again->source());
  FUZZ_CHECK(event.type() == again->type());
  FUZZ_CHECK(HasData(event) == HasData(*again));
  FUZZ_CHECK(HasSameData(event, *again));
}

}  // namespace
}  // namespace penstock::cloudevents

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace penstock;
  const std::string_view text = FuzzText(data, size);
  if (const auto event = cloudevents::FromJson(text); event.ok()) cloudevents::CheckEvent(*event);
  if (const auto batch = cloudevents::FromJsonBatch(text); batch.ok()) {
    for (const auto& event : *batch) {
      if (event.ok()) cloudevents::CheckEvent(*event);
    }
  }
  return 0;
}
