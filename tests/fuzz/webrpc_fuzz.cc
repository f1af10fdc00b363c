// What Connect and gRPC-Web read: what is taken is taken again when written out, and errors say
// why.
#include <string>

#include "libs/protojson/base64.h"
#include "libs/protojson/json_tree.h"
#include "libs/webrpc/connect.h"
#include "libs/webrpc/content_type.h"
#include "libs/webrpc/envelope.h"
#include "libs/webrpc/gzip.h"
#include "libs/webrpc/text.h"
#include "tests/fuzz/check.h"

namespace penstock::webrpc {
namespace {

constexpr std::size_t kBytesMax = 10'000;

std::string Base64(std::string_view bytes) {
  std::string text;
  protojson::AppendBase64(bytes, &text);
  return text;
}

void CheckEnvelope(std::string_view body) {
  const auto envelope = OnlyEnvelope(body);
  if (!envelope.ok()) {
    FUZZ_CHECK(!envelope.status().message().empty());
    return;
  }
  std::string again;
  AppendEnvelope(envelope->is_compressed ? kCompressed : 0, envelope->message, &again);
  FUZZ_CHECK(again == body);
}

void CheckText(std::string_view text) {
  std::string bytes;
  std::string again;
  if (DecodeText(text, &bytes)) {
    FUZZ_CHECK(DecodeText(Base64(bytes), &again));
    FUZZ_CHECK(again == bytes);
  }
  // Where a text is cut into pieces does not matter.
  const std::size_t half = text.size() / 2;
  FUZZ_CHECK(DecodeText(Base64(text.substr(0, half)) + Base64(text.substr(half)), &again));
  FUZZ_CHECK(again == text);
}

void CheckQuery(std::string_view text) {
  const auto query = ParseGetQuery(text);
  if (!query.ok()) {
    FUZZ_CHECK(query.status().code() == absl::StatusCode::kInvalidArgument);
    return;
  }
  std::string message = Base64(query->message);
  for (char& c : message) c = c == '+' ? '-' : c;
  const auto again = ParseGetQuery("base64=1&encoding=json&message=" + message);
  FUZZ_CHECK(again.ok() && again->message == query->message);
}

void CheckErrors(std::string_view text) {
  const Outcome outcome{static_cast<absl::StatusCode>(text.size() % 17), std::string(text),
                        std::string(text)};
  const std::string json =
      EndOfStreamJson(outcome, {{"a", std::string(text)}, {std::string(text), "b"}, {"a", "c"}});
  protojson::JsonDocument document;
  FUZZ_CHECK(document.Parse(json).ok());
}

void CheckContentType(std::string_view text) {
  const auto type = ParseContentType(text);
  if (!type || !type->codec) return;
  const auto again = ParseContentType(ContentTypeOf(type->protocol, *type->codec));
  FUZZ_CHECK(again && again->protocol == type->protocol && again->codec == type->codec);
}

}  // namespace
}  // namespace penstock::webrpc

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace penstock;
  std::string_view text = FuzzText(data, size);
  switch (TakeByte(text) % 7) {
    case 0: webrpc::CheckEnvelope(text); break;
    case 1: webrpc::CheckText(text); break;
    case 2: webrpc::CheckQuery(text); break;
    case 3: webrpc::CheckErrors(text); break;
    case 4: webrpc::CheckContentType(text); break;
    case 5: {
      const auto bytes = webrpc::Gunzip(text, webrpc::kBytesMax);
      FUZZ_CHECK(!bytes.ok() || bytes->size() <= webrpc::kBytesMax);
      break;
    }
    default: {
      const auto timeout = webrpc::ParseConnectTimeout(text);
      FUZZ_CHECK(!timeout.ok() || (timeout->count() >= 0 && text.size() <= 10));
    }
  }
  return 0;
}
