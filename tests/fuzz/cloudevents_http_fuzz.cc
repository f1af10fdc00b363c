// CloudEvents over HTTP: a message is header lines, an empty line and a body. A valid event in
// binary mode is the same after being written and read.
#include <vector>

#include "libs/cloudevents/http_binding.h"
#include "libs/cloudevents/validate.h"
#include "tests/fuzz/check.h"

namespace penstock::cloudevents {
namespace {

void CheckBinary(const CloudEvent& event) {
  if (!Validate(event).ok()) return;
  const std::vector<Header> headers = ToHttpBinaryHeaders(event);
  std::vector<HeaderView> views;
  for (const auto& [name, value] : headers) {
    for (const char c : value) FUZZ_CHECK(static_cast<unsigned char>(c) >= 0x20 && c != 0x7f);
    views.emplace_back(name, value);
  }
  FUZZ_CHECK(ModeOf(views) == Mode::kBinary);
  const auto again = FromHttpBinary(views, Data(event));
  FUZZ_CHECK(again.ok());
  FUZZ_CHECK(again->id() == event.id() && again->source() == event.source());
  FUZZ_CHECK(again->type() == event.type());
  FUZZ_CHECK(Data(*again) == Data(event));
  FUZZ_CHECK(ToHttpBinaryHeaders(*again) == headers);
}

}  // namespace
}  // namespace penstock::cloudevents

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace penstock;
  std::string_view text = FuzzText(data, size);
  std::vector<cloudevents::HeaderView> headers;
  while (!text.empty()) {
    std::string_view line = TakeUntil(text, '\n');
    if (line.empty()) break;
    const std::string_view name = TakeUntil(line, ':');
    headers.emplace_back(name, line);
  }
  const auto decoded = cloudevents::FromHttp(headers, text);
  if (decoded.ok() && cloudevents::ModeOf(headers) == cloudevents::Mode::kBinary) {
    FUZZ_CHECK(decoded->events.size() == 1);
    if (decoded->events[0].ok()) cloudevents::CheckBinary(*decoded->events[0]);
  }
  for (const auto& [name, value] : headers) {
    const std::string plain = cloudevents::DecodeHeaderValue(value);
    FUZZ_CHECK(cloudevents::DecodeHeaderValue(cloudevents::EncodeHeaderValue(plain)) == plain);
  }
  return 0;
}
