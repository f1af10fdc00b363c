#include "libs/http/response_reader.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstring>
#include <string>
#include <utility>
#include <vector>

namespace penstock::http {
namespace {

using Event = ResponseReader::Event;

struct Fed {
  std::vector<ClientResponse> responses;
  std::vector<bool> keep_alive;
  // What ended it: kMalformed, kTooLarge, or kNeedMore when all bytes were taken.
  Event end = Event::kNeedMore;
};

void Feed(ResponseReader& reader, std::string_view bytes, Fed& fed) {
  if (bytes.empty() || fed.end != Event::kNeedMore) return;
  const std::span<char> room = reader.input().Prepare(bytes.size());
  std::memcpy(room.data(), bytes.data(), bytes.size());
  reader.input().Commit(bytes.size());
  while (true) {
    const Event event = reader.Next();
    if (event == Event::kNeedMore) return;
    if (event != Event::kResponse) {
      fed.end = event;
      return;
    }
    fed.keep_alive.push_back(reader.keep_alive());
    fed.responses.push_back(reader.TakeResponse());
    reader.Reset(false, 20);
  }
}

// Reads `bytes`, split at `at`, as answers with bodies of up to 20 bytes.
Fed Read(std::string_view bytes, std::size_t at, bool is_head = false) {
  ResponseReader reader;
  reader.Reset(is_head, 20);
  Fed fed;
  Feed(reader, bytes.substr(0, at), fed);
  Feed(reader, bytes.substr(at), fed);
  return fed;
}

std::string Ok(const std::string& fields, const std::string& body = "") {
  return "HTTP/1.1 200 OK\r\n" + fields + "\r\n" + body;
}

std::string Chunked(const std::string& body) { return Ok("Transfer-Encoding: chunked\r\n", body); }

TEST(ResponseReaderTest, RefusesWhatIsInDoubtHoweverItIsSplit) {
  const std::vector<std::string> cases = {
      "nonsense\r\n",
      "HTTP/2.0 200 OK\r\n",
      "HTTP/1.1 20 OK\r\n",
      "HTTP/1.1 2000 OK\r\n",
      "HTTP/1.1 099 OK\r\n",
      "HTTP/1.1  200 OK\r\n",
      "HTTP/1.1 200 OK\n",
      "HTTP/1.1 200 OK\r\r\n",
      "HTTP/1.1 101 Switching Protocols\r\n\r\n",
      Ok("Bad Name: x\r\n"),
      Ok("X: a\r\n folded\r\n"),
      Ok("X: a\rb\r\n"),
      Ok("no colon\r\n"),
      Ok("Content-Length: 1\r\nContent-Length: 2\r\n"),
      Ok("Content-Length: 1, 2\r\n"),
      Ok("Content-Length: x\r\n"),
      Ok("Content-Length:\r\n"),
      Ok("Content-Length: 1\r\nTransfer-Encoding: chunked\r\n"),
      Ok("Transfer-Encoding: gzip\r\n"),
      Ok("Transfer-Encoding: gzip, chunked\r\n"),
      Ok("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n"),
      "HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
      Chunked("zz\r\n"),
      Chunked("1\r\nab\r\n"),
      Chunked("0\r\nX : y\r\n\r\n"),
      // A parser that was used before asserted on it, and ended the process.
      Chunked("0\r\n\xb9ok\r\n0\x0f\n\r\n"),
  };
  for (const std::string& bytes : cases) {
    for (std::size_t at = 0; at < bytes.size(); ++at) {
      const Fed fed = Read(bytes, at);
      ASSERT_EQ(fed.end, Event::kMalformed) << bytes << " split at " << at;
      ASSERT_TRUE(fed.responses.empty()) << bytes << " split at " << at;
    }
  }
}

TEST(ResponseReaderTest, ReadsAnswersHoweverTheyAreSplit) {
  const std::string bytes =
      "HTTP/1.1 100 Continue\r\n\r\n" +
      Ok("Content-Length: 2, 2\r\nContent-Length: 2\r\nX:  y \r\n", "ok") +
      Chunked("3;a=b\r\nabc\r\n0\r\nT: u\r\n\r\n") + "HTTP/1.1 204\r\n\r\n" +
      "HTTP/1.1 304 Not Modified\r\nContent-Length: 9\r\n\r\n" +
      "HTTP/1.0 200 OK\r\nContent-Length: 0\r\nConnection: keep-alive\r\n\r\n" +
      Ok("Content-Length: 0\r\nConnection: x, Close\r\n");
  for (std::size_t at = 0; at <= bytes.size(); ++at) {
    const Fed fed = Read(bytes, at);
    ASSERT_EQ(fed.end, Event::kNeedMore) << "split at " << at;
    ASSERT_EQ(fed.responses.size(), 6U) << "split at " << at;
    EXPECT_EQ(fed.responses[0].body, "ok");
    EXPECT_EQ(fed.responses[0].headers.Get("x"), "y");
    EXPECT_EQ(fed.responses[1].body, "abc");
    EXPECT_EQ(fed.responses[2].status, 204);
    EXPECT_EQ(fed.responses[3].body, "");
    EXPECT_EQ(fed.keep_alive, (std::vector<bool>{true, true, true, true, true, false}));
  }
}

TEST(ResponseReaderTest, BoundsTheBody) {
  for (const std::string& bytes :
       {Ok("Content-Length: 21\r\n"), Ok("Content-Length: 99999999999999999999999\r\n"),
        Chunked("15\r\n"), Ok("", std::string(21, 'a'))}) {
    for (std::size_t at = 0; at < bytes.size(); ++at) {
      ASSERT_EQ(Read(bytes, at).end, Event::kTooLarge) << bytes << " split at " << at;
    }
  }
}

TEST(ResponseReaderTest, TheEndOfTheConnectionEndsOnlyABodyWithoutLength) {
  const auto at_end = [](const std::string& bytes) {
    ResponseReader reader;
    reader.Reset(false, 20);
    Fed fed;
    Feed(reader, bytes, fed);
    return reader.OnEnd();
  };
  EXPECT_EQ(at_end(Ok("", "to the end")), Event::kResponse);
  EXPECT_EQ(at_end(Ok("Content-Length: 3\r\n", "ab")), Event::kMalformed);
  EXPECT_EQ(at_end(Chunked("1\r\na\r\n")), Event::kMalformed);
  EXPECT_EQ(at_end("HTTP/1.1 200 OK\r\n"), Event::kMalformed);
  EXPECT_EQ(at_end(""), Event::kMalformed);
}

TEST(ResponseReaderTest, AnAnswerToHeadHasNoBody) {
  const Fed fed = Read(Ok("Content-Length: 9\r\n") + Ok("Content-Length: 1\r\n", "a"), 3, true);
  ASSERT_EQ(fed.responses.size(), 2U);
  EXPECT_EQ(fed.responses[0].body, "");
  EXPECT_EQ(fed.responses[1].body, "a");
}

// Reads one answer in pieces, its bytes split at `at`: its body, and what the last event was.
std::pair<std::string, Event> ReadInPieces(std::string_view bytes, std::size_t at, bool is_head) {
  ResponseReader reader;
  reader.ResetForStream(is_head, false);
  std::string body;
  bool has_head = false;
  Event event = Event::kNeedMore;
  for (std::string_view part : {bytes.substr(0, at), bytes.substr(at)}) {
    if (part.empty()) continue;
    const std::span<char> room = reader.input().Prepare(part.size());
    std::memcpy(room.data(), part.data(), part.size());
    reader.input().Commit(part.size());
    if (!has_head) event = reader.Next();
    if (event == Event::kHead) has_head = true;
    bool goes_on = has_head;
    while (goes_on) {
      Pieces pieces;
      event = reader.ReadPieces(pieces);
      for (std::size_t i = 0; i < pieces.count; ++i) body += pieces.views[i];
      goes_on = event == Event::kNeedMore && pieces.count > 0;
    }
    if (event != Event::kNeedMore) break;
  }
  return {body, event};
}

TEST(ResponseReaderTest, InPiecesABodyIsTheSame) {
  const std::vector<std::string> cases = {
      Ok("Content-Length: 5\r\n", "hello"),
      Ok("Content-Length: 0\r\n"),
      Ok("", "to the end"),
      Chunked("5\r\nhello\r\n0\r\n\r\n"),
      Chunked("1\r\na\r\n1\r\nb\r\n1\r\nc\r\n0\r\nX: y\r\n\r\n"),
      Chunked("0\r\n\r\n"),
      Chunked("5\r\nhelloX0\r\n\r\n"),
      Chunked("zz\r\n"),
      "HTTP/1.1 204 No Content\r\n\r\n",
      "HTTP/1.1 304 Not Modified\r\nContent-Length: 9\r\n\r\n",
      "HTTP/1.1 103 Early Hints\r\n\r\n" + Ok("Content-Length: 2\r\n", "hi"),
      "HTTP/1.1 101 Switching Protocols\r\n\r\n",
      "nonsense\r\n\r\n",
  };
  for (const bool is_head : {false, true}) {
    for (const std::string& bytes : cases) {
      const Fed whole = Read(bytes, bytes.size(), is_head);
      for (std::size_t at = 0; at < bytes.size(); ++at) {
        const auto [body, event] = ReadInPieces(bytes, at, is_head);
        const bool is_whole = !whole.responses.empty();
        if (is_whole) {
          EXPECT_EQ(event, Event::kResponse) << bytes;
          EXPECT_EQ(body, whole.responses[0].body) << bytes;
        } else {
          EXPECT_EQ(event, whole.end) << bytes;
        }
      }
    }
  }
}

TEST(ResponseReaderTest, MoreChunksThanFitComeOneAfterTheOther) {
  std::string chunks;
  std::string expected;
  for (int i = 0; i < 100; ++i) {
    chunks += "1\r\n" + std::string(1, static_cast<char>('a' + i % 26)) + "\r\n";
    expected += static_cast<char>('a' + i % 26);
  }
  const auto [body, event] = ReadInPieces(Chunked(chunks + "0\r\n\r\n"), 0, false);
  EXPECT_EQ(event, Event::kResponse);
  EXPECT_EQ(body, expected);
}

TEST(ResponseReaderTest, AnUpgradeThatWasAskedForIsATunnel) {
  ResponseReader reader;
  reader.ResetForStream(false, true);
  constexpr std::string_view kBytes =
      "HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\n\r\nHTTP/1.1 200 OK\r\n";
  const std::span<char> room = reader.input().Prepare(kBytes.size());
  std::memcpy(room.data(), kBytes.data(), kBytes.size());
  reader.input().Commit(kBytes.size());
  ASSERT_EQ(reader.Next(), Event::kHead);
  EXPECT_TRUE(reader.is_tunnel());
  EXPECT_FALSE(reader.keep_alive());
  Pieces pieces;
  EXPECT_EQ(reader.ReadPieces(pieces), Event::kNeedMore);
  ASSERT_EQ(pieces.count, 1u);
  EXPECT_EQ(pieces.views[0], "HTTP/1.1 200 OK\r\n");
  EXPECT_EQ(reader.OnEnd(), Event::kResponse);
  pieces.Clear();
  EXPECT_EQ(reader.ReadPieces(pieces), Event::kResponse);
  EXPECT_TRUE(pieces.is_last);
}

}  // namespace
}  // namespace penstock::http
