#include "libs/http/request_reader.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstring>
#include <optional>
#include <string>
#include <vector>

namespace penstock::http {
namespace {

using Event = RequestReader::Event;
using testing::HasSubstr;

// What came of feeding bytes: whole requests, then perhaps a refusal.
struct Fed {
  std::vector<Request> requests;
  int refused = 0;
  std::string message;
  int continues = 0;
};

void Feed(RequestReader& reader, std::string_view bytes, Fed& fed) {
  if (bytes.empty()) return;
  const std::span<char> room = reader.input().Prepare(bytes.size());
  std::memcpy(room.data(), bytes.data(), bytes.size());
  reader.input().Commit(bytes.size());
  while (fed.refused == 0) {
    switch (reader.Next()) {
      case Event::kNeedMore: return;
      case Event::kContinue: ++fed.continues; break;
      case Event::kRequest: fed.requests.push_back(reader.TakeRequest()); break;
      case Event::kRefused:
        fed.refused = reader.refusal().http_status;
        fed.message = reader.refusal().message;
        break;
    }
  }
}

Fed Read(const std::vector<std::string_view>& pieces, const ServerOptions& options = {}) {
  RequestReader reader(options, Request{});
  Fed fed;
  for (const std::string_view piece : pieces) Feed(reader, piece, fed);
  return fed;
}

struct Refused {
  const char* name;
  int status;
  std::string bytes;
};

std::vector<Refused> RefusedRequests() {
  const std::string host = "Host: h\r\n";
  const auto with = [&](const std::string& fields) {
    return "POST / HTTP/1.1\r\n" + host + fields + "\r\n";
  };
  const std::string chunked = with("Transfer-Encoding: chunked\r\n");
  std::vector<Refused> cases = {
      {"both lengths", 400, with("Content-Length: 3\r\nTransfer-Encoding: chunked\r\n")},
      {"both lengths, other order", 400,
       with("Transfer-Encoding: chunked\r\nContent-Length: 3\r\n")},
      {"two lengths", 400, with("Content-Length: 3\r\nContent-Length: 4\r\n")},
      {"length list", 400, with("Content-Length: 3, 3\r\n")},
      {"signed length", 400, with("Content-Length: +3\r\n")},
      {"negative length", 400, with("Content-Length: -3\r\n")},
      {"hex length", 400, with("Content-Length: 0x3\r\n")},
      {"empty length", 400, with("Content-Length:\r\n")},
      {"length with a space", 400, with("Content-Length: 3 3\r\n")},
      {"length too big for 64 bits", 400, with("Content-Length: 99999999999999999999\r\n")},
      {"unknown coding", 501, with("Transfer-Encoding: gzip\r\n")},
      {"coding list", 501, with("Transfer-Encoding: gzip, chunked\r\n")},
      {"disguised coding", 501, with("Transfer-Encoding: xchunked\r\n")},
      {"coding with a parameter", 501, with("Transfer-Encoding: chunked;q=1\r\n")},
      {"identity coding", 501, with("Transfer-Encoding: identity\r\n")},
      {"two codings", 400, with("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n")},
      {"coding in 1.0", 400, "POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n"},
      {"vertical tab before the coding", 400,
       with("Transfer-Encoding: \x0b"
            "chunked\r\n")},
      {"folded field", 400, with("X-A: b\r\n c\r\n")},
      {"folded first field", 400, "GET / HTTP/1.1\r\n Host: h\r\n\r\n"},
      {"space before the colon", 400, with("Content-Length : 3\r\n")},
      {"field without colon", 400, with("X-A\r\n")},
      {"field without name", 400, with(": b\r\n")},
      {"bad byte in a name", 400, with("X(A): b\r\n")},
      {"NUL in a value", 400, with(std::string("X-A: b\0c\r\n", 10))},
      {"control byte in a value", 400, with("X-A: b\x01\r\n")},
      {"DEL in a value", 400, with("X-A: b\x7f\r\n")},
      {"bare CR in a value", 400, with("X-A: b\rc\r\n")},
      {"bare CR before the end", 400, with("X-A: b\r\r\n")},
      {"bare LF after the request line", 400, "GET / HTTP/1.1\nHost: h\r\n\r\n"},
      {"bare LF after a field", 400, "GET / HTTP/1.1\r\nHost: h\n\r\n"},
      {"bare LF at the end", 400, "GET / HTTP/1.1\r\nHost: h\r\n\n"},
      {"no host", 400, "GET / HTTP/1.1\r\n\r\n"},
      {"two hosts", 400, "GET / HTTP/1.1\r\nHost: h\r\nHost: h\r\n\r\n"},
      {"host with a path", 400, "GET / HTTP/1.1\r\nHost: h/x\r\n\r\n"},
      {"host with a user", 400, "GET / HTTP/1.1\r\nHost: u@h\r\n\r\n"},
      {"host list", 400, "GET / HTTP/1.1\r\nHost: a, b\r\n\r\n"},
      {"absolute target of another host", 400, "GET http://a/ HTTP/1.1\r\nHost: b\r\n\r\n"},
      {"absolute target with a user", 400, "GET http://u@h/ HTTP/1.1\r\nHost: h\r\n\r\n"},
      {"absolute target of another scheme", 400, "GET ftp://h/ HTTP/1.1\r\nHost: h\r\n\r\n"},
      {"target without slash", 400, "GET index HTTP/1.1\r\nHost: h\r\n\r\n"},
      {"asterisk for GET", 400, "GET * HTTP/1.1\r\nHost: h\r\n\r\n"},
      {"CONNECT", 400, "CONNECT h:80 HTTP/1.1\r\nHost: h\r\n\r\n"},
      {"fragment in the target", 400, "GET /#x HTTP/1.1\r\nHost: h\r\n\r\n"},
      {"space in the target", 400, "GET /a b HTTP/1.1\r\nHost: h\r\n\r\n"},
      {"tab in the target", 400, "GET /a\tb HTTP/1.1\r\nHost: h\r\n\r\n"},
      {"non-ASCII target", 400, "GET /\xc3\xa4 HTTP/1.1\r\nHost: h\r\n\r\n"},
      {"two spaces", 400, "GET  / HTTP/1.1\r\nHost: h\r\n\r\n"},
      {"space at the line's end", 400, "GET / HTTP/1.1 \r\nHost: h\r\n\r\n"},
      {"tab for space", 400, "GET\t/ HTTP/1.1\r\nHost: h\r\n\r\n"},
      {"no target", 400, "GET HTTP/1.1\r\nHost: h\r\n\r\n"},
      {"no version", 400, "GET /\r\nHost: h\r\n\r\n"},
      {"lower-case version", 400, "GET / http/1.1\r\nHost: h\r\n\r\n"},
      {"HTTP/2.0", 505, "GET / HTTP/2.0\r\nHost: h\r\n\r\n"},
      {"HTTP/0.9", 505, "GET / HTTP/0.9\r\nHost: h\r\n\r\n"},
      {"HTTP/1.2", 505, "GET / HTTP/1.2\r\nHost: h\r\n\r\n"},
      {"HTTP/2 preface", 505, "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"},
      {"bad byte in the method", 400, "GE(T / HTTP/1.1\r\nHost: h\r\n\r\n"},
      {"long method", 400, std::string(33, 'A') + " / HTTP/1.1\r\nHost: h\r\n\r\n"},
      {"TLS hello", 400, std::string("\x16\x03\x01\x02\x00\x01", 6)},
      {"two empty lines first", 400, "\r\n\r\nGET / HTTP/1.1\r\nHost: h\r\n\r\n"},
      {"other expectation", 417, with("Expect: 200-ok\r\n")},
      {"chunk size no number", 400, chunked + "x\r\n"},
      {"chunk size signed", 400, chunked + "-1\r\n"},
      {"chunk size prefixed", 400, chunked + "0x1\r\na\r\n0\r\n\r\n"},
      {"chunk size too big", 400, chunked + "11111111111111111\r\n"},
      {"chunk without its end", 400, chunked + "1\r\nab\r\n0\r\n\r\n"},
      {"chunk line ended by LF", 400, chunked + "1\na\r\n0\r\n\r\n"},
      {"LF inside a chunk extension", 400, chunked + "1;a\nb\r\na\r\n0\r\n\r\n"},
      {"length in the trailer", 400, chunked + "0\r\nContent-Length: 3\r\n\r\n"},
      {"endless chunk extension", 400, chunked + "1;" + std::string(20'000, 'a')},
      {"endless trailer", 400, chunked + "0\r\nX: " + std::string(20'000, 'a')},
  };
  return cases;
}

TEST(RequestReaderTest, RefusesMalformedRequests) {
  for (const Refused& refused : RefusedRequests()) {
    const Fed fed = Read({refused.bytes});
    EXPECT_EQ(fed.refused, refused.status) << refused.name << ": " << fed.message;
    EXPECT_TRUE(fed.requests.empty()) << refused.name;
    EXPECT_FALSE(fed.message.empty()) << refused.name;
  }
}

TEST(RequestReaderTest, RefusesThemHoweverTheyAreSplit) {
  for (const Refused& refused : RefusedRequests()) {
    if (refused.bytes.size() > 1000) continue;
    const std::string_view bytes = refused.bytes;
    for (std::size_t at = 1; at < bytes.size(); ++at) {
      const Fed fed = Read({bytes.substr(0, at), bytes.substr(at)});
      ASSERT_EQ(fed.refused, refused.status) << refused.name << " split at " << at;
      ASSERT_TRUE(fed.requests.empty()) << refused.name << " split at " << at;
    }
  }
}

TEST(RequestReaderTest, ReadsRequestsHoweverTheyAreSplit) {
  const std::string bytes =
      "\r\nPOST /a?b=c HTTP/1.1\r\nhost: h\r\nContent-Length: 5\r\nX-A:  b c \r\n\r\nhello"
      "PUT /d HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: Chunked\r\n\r\n"
      "3;x=\"y\"\r\nabc\r\n0A\r\n0123456789\r\n0\r\nTrailer: t\r\n\r\n"
      "GET http://H/e HTTP/1.1\r\nHost: h\r\n\r\n";
  const std::string_view view = bytes;
  for (std::size_t at = 0; at <= bytes.size(); ++at) {
    for (const std::size_t step : {std::size_t{1}, bytes.size()}) {
      const std::size_t second = std::min(at + step, bytes.size());
      const Fed fed = Read({view.substr(0, at), view.substr(at, second - at), view.substr(second)});
      ASSERT_EQ(fed.refused, 0) << "split at " << at << ": " << fed.message;
      ASSERT_EQ(fed.requests.size(), 3U) << "split at " << at;
      EXPECT_EQ(fed.requests[0].method, "POST");
      EXPECT_EQ(fed.requests[0].target, "/a?b=c");
      EXPECT_EQ(fed.requests[0].headers.Get("x-a"), "b c");
      ASSERT_EQ(fed.requests[0].body, "hello") << "split at " << at;
      ASSERT_EQ(fed.requests[1].body, "abc0123456789") << "split at " << at;
      EXPECT_FALSE(fed.requests[1].headers.Has("trailer"));
      EXPECT_EQ(fed.requests[2].target, "/e");
    }
  }
}

TEST(RequestReaderTest, ReadsByteByByte) {
  const std::string bytes = "POST / HTTP/1.0\r\nContent-Length: 2\r\n\r\nok";
  std::vector<std::string_view> pieces;
  for (const char& c : bytes) pieces.emplace_back(&c, 1);
  const Fed fed = Read(pieces);
  ASSERT_EQ(fed.requests.size(), 1U);
  EXPECT_EQ(fed.requests[0].body, "ok");
  EXPECT_TRUE(fed.requests[0].is_http_1_0);
}

TEST(RequestReaderTest, RewritesAbsoluteTargets) {
  const auto target = [](const std::string& absolute) {
    const Fed fed = Read({"GET " + absolute + " HTTP/1.1\r\nHost: h:80\r\n\r\n"});
    return fed.requests.empty() ? fed.message : fed.requests[0].target;
  };
  EXPECT_EQ(target("http://h:80/a?b"), "/a?b");
  EXPECT_EQ(target("HTTP://H:80"), "/");
  EXPECT_EQ(target("http://h:80?x"), "/?x");
}

TEST(RequestReaderTest, TakesRepeatedEqualLengths) {
  const Fed fed =
      Read({"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 1\r\nContent-Length: 1\r\n\r\na"});
  ASSERT_EQ(fed.requests.size(), 1U) << fed.message;
  EXPECT_EQ(fed.requests[0].body, "a");
}

TEST(RequestReaderTest, EnforcesTheLimitsOfTheHead) {
  ServerOptions options;
  options.limits.header_bytes_max = 1000;
  options.limits.target_bytes_max = 100;
  options.limits.header_fields_max = 5;
  const auto status = [&](const std::string& bytes) { return Read({bytes}, options).refused; };
  const std::string end = " HTTP/1.1\r\nHost: h\r\n\r\n";
  EXPECT_EQ(status("GET /" + std::string(99, 'a') + end), 0);
  EXPECT_EQ(status("GET /" + std::string(100, 'a') + end), 414);
  // Refused before the line is complete.
  EXPECT_EQ(status("GET /" + std::string(200, 'a')), 414);
  EXPECT_EQ(status("GET /" + std::string(5000, 'a') + end), 414);
  const auto fields = [](int count, std::size_t size) {
    std::string bytes = "GET / HTTP/1.1\r\nHost: h\r\n";
    for (int i = 1; i < count; ++i) bytes += "X: " + std::string(size, 'a') + "\r\n";
    return bytes + "\r\n";
  };
  EXPECT_EQ(status(fields(5, 1)), 0);
  EXPECT_EQ(status(fields(6, 1)), 431);
  EXPECT_EQ(status(fields(2, 950)), 0);
  EXPECT_EQ(status(fields(2, 1000)), 431);
  EXPECT_EQ(status("GET / HTTP/1.1\r\nHost: h\r\nX: " + std::string(1000, 'a')), 431);
}

TEST(RequestReaderTest, EnforcesTheLimitOfTheBody) {
  ServerOptions options;
  options.limits.body_bytes_max = 10;
  options.body_bytes_max_of = [](const Request& head) -> std::size_t {
    return head.path() == "/big" ? 20 : 10;
  };
  const auto read = [&](const std::string& path, int size) {
    return Read({"POST " + path + " HTTP/1.1\r\nHost: h\r\nContent-Length: " +
                 std::to_string(size) + "\r\n\r\n" + std::string(size, 'a')},
                options)
        .refused;
  };
  EXPECT_EQ(read("/small", 10), 0);
  EXPECT_EQ(read("/small", 11), 413);
  EXPECT_EQ(read("/big", 20), 0);
  EXPECT_EQ(read("/big", 21), 413);
  const std::string chunked = "POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n";
  EXPECT_EQ(Read({chunked + "a\r\n0123456789\r\n0\r\n\r\n"}, options).refused, 0);
  // Refused when the chunk is announced, before it arrives.
  EXPECT_EQ(Read({chunked + "b\r\n"}, options).refused, 413);
  EXPECT_EQ(Read({chunked + "9\r\n012345678\r\n2\r\n"}, options).refused, 413);
  EXPECT_EQ(Read({chunked + "ffffffffffffffff\r\n"}, options).refused, 413);
}

TEST(RequestReaderTest, AsksForABodyThatWaits) {
  const std::string head =
      "POST / HTTP/1.1\r\nHost: h\r\nExpect: 100-Continue\r\nContent-Length: 2\r\n\r\n";
  const Fed waiting = Read({head, "ok"});
  EXPECT_EQ(waiting.continues, 1);
  ASSERT_EQ(waiting.requests.size(), 1U);
  EXPECT_EQ(waiting.requests[0].body, "ok");
  EXPECT_EQ(Read({head + "ok"}).continues, 0);
  EXPECT_EQ(
      Read({"POST / HTTP/1.0\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n"}).continues, 0);
}

TEST(RequestReaderTest, SaysWhatIsWrongAndNeverQuotesInput) {
  const Fed fed = Read({"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: <script>\r\n\r\n"});
  EXPECT_EQ(fed.message, "Content-Length: expected one decimal number");
}

TEST(InputBufferTest, KeepsBytesWhileAFillIsPending) {
  InputBuffer buffer;
  std::span<char> room = buffer.Prepare(4);
  std::memcpy(room.data(), "abcd", 4);
  buffer.Commit(4);
  // A read is pending while what came before is consumed.
  room = buffer.Prepare(4);
  buffer.Consume(4);
  std::memcpy(room.data(), "efgh", 4);
  buffer.Commit(4);
  EXPECT_EQ(buffer.view(), "efgh");
  room = buffer.Prepare(100'000);
  EXPECT_GE(room.size(), 100'000U);
  EXPECT_EQ(buffer.view(), "efgh");
}

}  // namespace
}  // namespace penstock::http
