// The response reader: how the bytes are split changes nothing, and limits hold.
#include <cstring>
#include <string>
#include <vector>

#include "libs/http/response_reader.h"
#include "tests/fuzz/check.h"

namespace penstock::http {
namespace {

using Event = ResponseReader::Event;

constexpr std::size_t kBodyMax = 200;

struct Outcome {
  std::vector<ClientResponse> responses;
  std::vector<bool> keep_alive;
  Event end = Event::kNeedMore;
};

void Feed(ResponseReader& reader, std::string_view bytes, bool is_head, Outcome& outcome) {
  const std::span<char> room = reader.input().Prepare(bytes.size());
  std::memcpy(room.data(), bytes.data(), bytes.size());
  reader.input().Commit(bytes.size());
  while (outcome.end == Event::kNeedMore) {
    const Event event = reader.Next();
    if (event == Event::kNeedMore) return;
    if (event != Event::kResponse) {
      outcome.end = event;
      return;
    }
    outcome.keep_alive.push_back(reader.keep_alive());
    outcome.responses.push_back(reader.TakeResponse());
    // A client closes a connection that may not live on.
    if (!reader.keep_alive()) {
      outcome.end = Event::kResponse;
      return;
    }
    reader.Reset(is_head, kBodyMax);
  }
}

Outcome Read(std::string_view bytes, bool is_head, std::size_t piece) {
  ResponseReader reader;
  reader.Reset(is_head, kBodyMax);
  Outcome outcome;
  while (!bytes.empty() && outcome.end == Event::kNeedMore) {
    const std::size_t size = std::min(piece, bytes.size());
    Feed(reader, bytes.substr(0, size), is_head, outcome);
    bytes.remove_prefix(size);
  }
  if (outcome.end != Event::kNeedMore) return outcome;
  outcome.end = reader.OnEnd();
  if (outcome.end == Event::kResponse) outcome.responses.push_back(reader.TakeResponse());
  return outcome;
}

void CheckSame(const Outcome& a, const Outcome& b) {
  FUZZ_CHECK(a.end == b.end);
  FUZZ_CHECK(a.keep_alive == b.keep_alive);
  FUZZ_CHECK(a.responses.size() == b.responses.size());
  for (std::size_t i = 0; i < a.responses.size(); ++i) {
    const ClientResponse& left = a.responses[i];
    const ClientResponse& right = b.responses[i];
    FUZZ_CHECK(left.status == right.status && left.body == right.body);
    FUZZ_CHECK(left.headers.size() == right.headers.size());
    FUZZ_CHECK(left.body.size() <= kBodyMax);
  }
}

}  // namespace
}  // namespace penstock::http

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace penstock;
  std::string_view bytes = FuzzText(data, size);
  const unsigned char choice = TakeByte(bytes);
  const bool is_head = (choice & 1) != 0;
  const http::Outcome whole = http::Read(bytes, is_head, std::max<std::size_t>(bytes.size(), 1));
  http::CheckSame(whole, http::Read(bytes, is_head, 1));
  http::CheckSame(whole, http::Read(bytes, is_head, 1 + choice / 2));
  return 0;
}
