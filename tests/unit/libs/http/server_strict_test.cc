// The table of strict_cases.h over real connections: sent at once, byte by byte, and in two pieces.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/unit/libs/http/http_fixture.h"
#include "tests/unit/libs/http/strict_cases.h"

namespace penstock::http {
namespace {

using namespace std::chrono_literals;
using testing::EndsWith;
using testing::HasSubstr;
using testing::StartsWith;

constexpr const char* kProbe = "GET /probe HTTP/1.1\r\nHost: h\r\n\r\n";

class ServerStrictTest : public HttpFixture {
 protected:
  // Sends `bytes` in pieces of `piece` bytes, and expects what `expected` says. A server that has
  // refused and closed may end the sending; what it answered counts.
  void Check(const StrictCase& expected, std::size_t piece) {
    SCOPED_TRACE(fmt::format("{}, in pieces of {} bytes", expected.name, piece));
    RawSocket socket = Connect();
    const std::string_view bytes = expected.bytes;
    for (std::size_t at = 0; at < bytes.size(); at += piece) {
      if (!socket.Send(bytes.substr(at, piece))) break;
    }
    std::string answer;
    for (const int status : expected.statuses) {
      answer = expected.is_bodiless ? socket.ReadUntil("\r\n\r\n") : socket.ReadResponse();
      ASSERT_THAT(answer, StartsWith(fmt::format("HTTP/1.1 {} ", status)));
    }
    EXPECT_THAT(answer, HasSubstr(expected.says));
    if (expected.is_open) {
      EXPECT_TRUE(socket.Send(kProbe));
      EXPECT_THAT(socket.ReadResponse(), EndsWith("GET /probe "));
    } else {
      EXPECT_EQ(socket.ReadAll(), "") << "it answered more, or did not close";
    }
  }

  void CheckAll(const std::vector<StrictCase>& cases) {
    for (const StrictCase& expected : cases) {
      const std::size_t size = std::max<std::size_t>(expected.bytes.size(), 1);
      for (const std::size_t piece : {size, std::size_t{1}, (size + 1) / 2}) {
        Check(expected, piece);
      }
    }
  }
};

TEST_F(ServerStrictTest, DoesWhatTheTableSays) {
  ServeEcho(StrictOptions());
  const std::vector<StrictCase> cases = StrictCases();
  EXPECT_GE(cases.size(), 80U);
  CheckAll(cases);
}

TEST_F(ServerStrictTest, GivesUpOnWhatStopsOnTheWay) {
  ServerOptions options = StrictOptions();
  options.timeouts.header_read = 30ms;
  options.timeouts.body_read = 30ms;
  options.timeouts.idle = 30ms;
  ServeEcho(options);
  for (const StrictCase& expected : UnfinishedCases()) {
    Check(expected, std::max<std::size_t>(expected.bytes.size(), 1));
  }
}

TEST_F(ServerStrictTest, AsksForABodyThatItWants) {
  ServeEcho(StrictOptions());
  RawSocket socket = Connect();
  for (const char* fields : {"Content-Length: 2\r\n", "Transfer-Encoding: chunked\r\n"}) {
    socket.Send(
        fmt::format("POST / HTTP/1.1\r\nHost: h\r\nExpect: 100-Continue\r\n{}\r\n", fields));
    EXPECT_EQ(socket.ReadUntil("\r\n\r\n"), "HTTP/1.1 100 Continue\r\n\r\n");
    socket.Send(fields[0] == 'C' ? "ok" : "2\r\nok\r\n0\r\n\r\n");
    EXPECT_THAT(socket.ReadResponse(), EndsWith("POST / ok"));
  }
}

TEST_F(ServerStrictTest, AnswersInOrderHoweverSlowTheFirst) {
  HeldExchanges held;
  Serve(held.AsHandler());
  RawSocket socket = Connect();
  socket.Send("GET /1 HTTP/1.1\r\nHost: h\r\n\r\nGET /2 HTTP/1.1\r\nHost: h\r\n\r\n");
  const std::shared_ptr<Exchange> first = held.Take("/1");
  ASSERT_NE(first, nullptr);
  EXPECT_EQ(held.total(), 1) << "the second request waits for the first one's answer";
  first->Respond(Response::Text(200, "one"));
  EXPECT_THAT(socket.ReadResponse(), EndsWith("one"));
  const std::shared_ptr<Exchange> second = held.Take("/2");
  ASSERT_NE(second, nullptr);
  second->Respond(Response::Text(200, "two"));
  EXPECT_THAT(socket.ReadResponse(), EndsWith("two"));
}

TEST_F(ServerStrictTest, ARefusalBehindAHeadRequestHasItsBody) {
  ServeEcho();
  RawSocket socket = Connect();
  socket.Send("HEAD / HTTP/1.1\r\nHost: h\r\n\r\nGET / HTTP/1.1\r\n\r\n");
  EXPECT_THAT(socket.ReadUntil("\r\n\r\n"), StartsWith("HTTP/1.1 200 "));
  EXPECT_THAT(socket.ReadResponse(), HasSubstr("Host: missing"));
}

}  // namespace
}  // namespace penstock::http
