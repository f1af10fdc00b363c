#include "libs/http/request_reader.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstring>
#include <optional>
#include <string>
#include <vector>

#include "tests/unit/libs/http/strict_cases.h"

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
  // The body of the last request is still being read.
  bool is_in_pieces = false;
};

// Reads on in a body that is taken in pieces; false when it needs more.
bool FeedPieces(RequestReader& reader, Fed& fed) {
  while (true) {
    Pieces pieces;
    const Event event = reader.ReadPieces(pieces);
    for (std::size_t i = 0; i < pieces.count; ++i) fed.requests.back().body += pieces.views[i];
    if (event == Event::kContinue) {
      ++fed.continues;
    } else if (event == Event::kRefused) {
      fed.refused = reader.refusal().http_status;
      fed.message = reader.refusal().message;
      // A whole request would not have come of it.
      fed.requests.pop_back();
      return true;
    } else if (pieces.is_last) {
      fed.is_in_pieces = false;
      return true;
    } else if (pieces.empty()) {
      return false;
    }
  }
}

void Feed(RequestReader& reader, std::string_view bytes, Fed& fed) {
  if (bytes.empty()) return;
  const std::span<char> room = reader.input().Prepare(bytes.size());
  std::memcpy(room.data(), bytes.data(), bytes.size());
  reader.input().Commit(bytes.size());
  while (fed.refused == 0) {
    if (fed.is_in_pieces && !FeedPieces(reader, fed)) return;
    if (fed.refused != 0) return;
    switch (reader.Next()) {
      case Event::kNeedMore: return;
      case Event::kContinue: ++fed.continues; break;
      case Event::kRequest: fed.requests.push_back(reader.TakeRequest()); break;
      case Event::kStream:
        fed.requests.push_back(reader.TakeRequest());
        fed.is_in_pieces = true;
        break;
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

// What the reader makes of a case, as the server would answer it.
std::vector<int> StatusesOf(const Fed& fed) {
  std::vector<int> statuses(fed.requests.size(), 200);
  if (fed.refused != 0) statuses.push_back(fed.refused);
  return statuses;
}

// The reader knows nothing of closing, and goes on behind a request that asks for it.
bool IsForTheReader(const StrictCase& strict) { return strict.is_open || !strict.says.empty(); }

TEST(RequestReaderTest, DoesWhatTheTableSays) {
  const ServerOptions options = StrictOptions();
  for (const StrictCase& strict : StrictCases()) {
    if (!IsForTheReader(strict)) continue;
    const Fed fed = Read({strict.bytes}, options);
    EXPECT_EQ(StatusesOf(fed), strict.statuses) << strict.name << ": " << fed.message;
    if (fed.refused == 0) continue;
    EXPECT_THAT(fed.message, HasSubstr(strict.says)) << strict.name;
  }
}

TEST(RequestReaderTest, InPiecesABodyIsTheSame) {
  const ServerOptions options = StrictOptions();
  ServerOptions streaming = options;
  streaming.stream_handler_of = [](const Request&) -> StreamHandler {
    return [](Request, std::shared_ptr<StreamExchange>) {};
  };
  int bodies = 0;
  for (const StrictCase& strict : StrictCases()) {
    const std::string_view bytes = strict.bytes;
    const Fed whole = Read({bytes}, options);
    // Nobody keeps the body, so there is no limit on it.
    if (whole.refused == 413) continue;
    for (std::size_t at = 0; at < bytes.size(); ++at) {
      const Fed pieces = Read({bytes.substr(0, at), bytes.substr(at)}, streaming);
      ASSERT_EQ(pieces.refused, whole.refused) << strict.name << " split at " << at;
      if (pieces.is_in_pieces) continue;
      ASSERT_EQ(pieces.requests.size(), whole.requests.size()) << strict.name;
      for (std::size_t i = 0; i < whole.requests.size(); ++i) {
        ASSERT_EQ(pieces.requests[i].body, whole.requests[i].body) << strict.name;
        bodies += whole.requests[i].body.empty() ? 0 : 1;
      }
    }
  }
  EXPECT_GT(bodies, 100);
}

TEST(RequestReaderTest, DoesItHoweverTheBytesAreSplit) {
  const ServerOptions options = StrictOptions();
  for (const StrictCase& strict : StrictCases()) {
    if (!IsForTheReader(strict)) continue;
    const std::string_view bytes = strict.bytes;
    for (std::size_t at = 1; at < bytes.size(); ++at) {
      const Fed fed = Read({bytes.substr(0, at), bytes.substr(at)}, options);
      ASSERT_EQ(StatusesOf(fed), strict.statuses) << strict.name << " split at " << at;
    }
  }
}

// A line is judged when it is whole, so that a client is told, and a split decides nothing.
TEST(RequestReaderTest, RefusesALineBeforeTheHeadEnds) {
  for (const std::string& bytes :
       {std::string("GET\xe0HTTP/1.1\r\x01 T /1 HTTP/1.1\r\nH"), std::string("GET /\r\n"),
        std::string(40, 'a') + "\r\nHos", std::string("GET / HTTP/1.1\r\nX : y\r\n"),
        std::string("GET / HTTP/1.1\r\nHost: a/b\r\nX:")}) {
    const std::string_view view = bytes;
    for (std::size_t at = 0; at <= bytes.size(); ++at) {
      EXPECT_EQ(Read({view.substr(0, at), view.substr(at)}).refused, 400) << bytes << " at " << at;
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
