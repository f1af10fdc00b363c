// The request reader: how the bytes are split changes nothing, and what it takes is taken again
// when written out.
#include <fmt/format.h>

#include <cstring>
#include <string>
#include <vector>

#include "libs/http/request_reader.h"
#include "tests/fuzz/check.h"

namespace penstock::http {
namespace {

struct Outcome {
  std::vector<Request> requests;
  std::vector<bool> keep_alive;
  int refused = 0;
};

ServerOptions Options() {
  ServerOptions options;
  options.limits.header_bytes_max = 600;
  options.limits.target_bytes_max = 150;
  options.limits.header_fields_max = 20;
  options.limits.body_bytes_max = 200;
  options.limits.chunk_extension_bytes_max = 50;
  return options;
}

void Feed(RequestReader& reader, std::string_view bytes, Outcome& outcome) {
  if (bytes.empty()) return;
  const std::span<char> room = reader.input().Prepare(bytes.size());
  std::memcpy(room.data(), bytes.data(), bytes.size());
  reader.input().Commit(bytes.size());
  while (outcome.refused == 0) {
    switch (reader.Next()) {
      case RequestReader::Event::kNeedMore: return;
      case RequestReader::Event::kContinue: break;
      case RequestReader::Event::kStream: FUZZ_CHECK(false); break;
      case RequestReader::Event::kRequest:
        outcome.keep_alive.push_back(reader.keep_alive());
        outcome.requests.push_back(reader.TakeRequest());
        break;
      case RequestReader::Event::kRefused:
        outcome.refused = reader.refusal().http_status;
        FUZZ_CHECK(outcome.refused >= 400 && outcome.refused < 600);
        FUZZ_CHECK(!reader.refusal().message.empty());
        break;
    }
  }
}

// Reads `bytes` in pieces of 1 to 16 bytes as `seed` says; in one piece when it is 0.
Outcome Read(std::string_view bytes, unsigned seed) {
  static const ServerOptions options = Options();
  RequestReader reader(options, Request{});
  Outcome outcome;
  while (!bytes.empty()) {
    const std::size_t size = seed == 0 ? bytes.size() : seed == 1 ? 1 : 1 + (seed >> 16) % 16;
    if (seed > 1) seed = seed * 1664525 + 1013904223;
    Feed(reader, bytes.substr(0, size), outcome);
    bytes.remove_prefix(std::min(size, bytes.size()));
  }
  return outcome;
}

bool AreSame(const Request& a, const Request& b) {
  if (a.method != b.method || a.target != b.target || a.body != b.body ||
      a.is_http_1_0 != b.is_http_1_0 || a.headers.size() != b.headers.size()) {
    return false;
  }
  for (std::size_t i = 0; i < a.headers.size(); ++i) {
    if (a.headers[i].name != b.headers[i].name || a.headers[i].value != b.headers[i].value) {
      return false;
    }
  }
  return true;
}

void CheckSame(const Outcome& a, const Outcome& b) {
  FUZZ_CHECK(a.refused == b.refused);
  FUZZ_CHECK(a.requests.size() == b.requests.size());
  FUZZ_CHECK(a.keep_alive == b.keep_alive);
  for (std::size_t i = 0; i < a.requests.size(); ++i) {
    FUZZ_CHECK(AreSame(a.requests[i], b.requests[i]));
  }
}

std::string Write(const Request& request) {
  std::string out = fmt::format("{} {} HTTP/1.{}\r\n", request.method, request.target,
                                request.is_http_1_0 ? 0 : 1);
  for (const Headers::Field field : request.headers) {
    out.append(field.name).append(": ").append(field.value).append("\r\n");
  }
  out += "\r\n";
  if (!request.headers.Has("transfer-encoding")) return out + request.body;
  if (!request.body.empty())
    out += fmt::format("{:x}\r\n{}\r\n", request.body.size(), request.body);
  return out + "0\r\n\r\n";
}

// What the handlers rely on.
void CheckTaken(const Request& request) {
  FUZZ_CHECK(request.target.front() == '/' || request.target == "*");
  FUZZ_CHECK(request.is_http_1_0 || request.headers.GetAll("host").size() == 1);
  FUZZ_CHECK(request.body.size() <= Options().limits.body_bytes_max);
  FUZZ_CHECK(request.headers.size() <= Options().limits.header_fields_max);
  for (const Headers::Field field : request.headers) {
    FUZZ_CHECK(IsValidHeader(field.name, field.value));
  }
}

}  // namespace
}  // namespace penstock::http

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace penstock;
  std::string_view bytes = FuzzText(data, size);
  const unsigned seed = 2u + TakeByte(bytes);
  const http::Outcome whole = http::Read(bytes, 0);
  http::CheckSame(whole, http::Read(bytes, 1));
  http::CheckSame(whole, http::Read(bytes, seed));
  for (const http::Request& request : whole.requests) {
    http::CheckTaken(request);
    const http::Outcome again = http::Read(http::Write(request), 0);
    // Written out it may be longer than a head or an absolute target may be, which is no
    // difference.
    if (again.refused == 431 || again.refused == 414) continue;
    FUZZ_CHECK(again.refused == 0 && again.requests.size() == 1);
    FUZZ_CHECK(http::AreSame(request, again.requests[0]));
  }
  return 0;
}
