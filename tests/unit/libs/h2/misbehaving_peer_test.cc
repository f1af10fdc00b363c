#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdint>
#include <functional>
#include <string>
#include <utility>
#include <vector>

#include "tests/unit/libs/h2/frames.h"
#include "tests/unit/libs/h2/pipe.h"

namespace penstock::h2 {
namespace {

constexpr std::uint32_t kProtocolError = 1;
constexpr std::uint32_t kEnhanceYourCalm = 11;

TEST(MisbehavingPeerTest, ABadPrefaceEndsTheConnection) {
  End server(true);
  EXPECT_FALSE(server.Feed("GET / HTTP/1.1\r\nHost: x\r\n\r\n"));
  EXPECT_FALSE(server.session.error().empty());
}

TEST(MisbehavingPeerTest, FramesMayComeByteByByte) {
  End server(true);
  EXPECT_TRUE(
      server.Feed(RawHello() + RawRequest(1, false) + Frame(kData, kEndStream, 1, "hello"), 1));
  ASSERT_EQ(server.recorders.size(), 1u);
  EXPECT_EQ(server.recorders[0]->body, "hello");
  EXPECT_TRUE(server.recorders[0]->has_ended);
}

TEST(MisbehavingPeerTest, HalfAFrameIsNoRequest) {
  End server(true);
  const std::string request = RawRequest(1, true);
  EXPECT_TRUE(server.Feed(RawHello() + request.substr(0, request.size() - 1)));
  EXPECT_TRUE(server.recorders.empty());
}

TEST(MisbehavingPeerTest, AFrameAboveTheLimitEndsTheConnection) {
  End server(true);
  server.Feed(RawHello() + RawRequest(1, false) + Frame(kData, 0, 1, std::string(16'385, 'x')));
  EXPECT_TRUE(HasFrame(server.Take(), kGoaway, 4, 6)) << "FRAME_SIZE_ERROR";
  EXPECT_TRUE(server.session.IsDone());
}

TEST(MisbehavingPeerTest, AHeadThatIsTooLongIsAnswered431) {
  End server(true);
  EXPECT_TRUE(server.Feed(RawHello() + RawRequest(1, true, {{"x-long", std::string(17'000, 'x')}}) +
                          RawRequest(3, true)));
  ASSERT_EQ(server.recorders.size(), 1u) << "only the second is a request";
  const std::string answer = server.Take();
  EXPECT_THAT(answer,
              testing::HasSubstr(Frame(kHeaders, kEndHeaders | kEndStream, 1, "").substr(3)));
}

TEST(MisbehavingPeerTest, AHeadThatIsFarTooLongEndsTheConnection) {
  End server(true);
  std::vector<std::pair<std::string, std::string>> fields;
  for (int i = 0; i < 100; ++i)
    fields.emplace_back("x-" + std::to_string(i), std::string(1'000, 'x'));
  EXPECT_FALSE(server.Feed(RawHello() + RawRequest(1, true, fields)) && !server.session.IsDone());
  EXPECT_TRUE(server.recorders.empty());
}

TEST(MisbehavingPeerTest, ManySmallFieldsCountToo) {
  End server(true);
  std::vector<std::pair<std::string, std::string>> fields(600, {"a", ""});
  EXPECT_TRUE(server.Feed(RawHello() + RawRequest(1, true, fields)));
  EXPECT_TRUE(server.recorders.empty());
}

TEST(MisbehavingPeerTest, NamesInUpperCaseAreNotPassedOn) {
  End server(true);
  server.Feed(RawHello() + RawRequest(1, true, {{"Penstock-Peer-Token", "guess"}}));
  for (const auto& recorder : server.recorders) {
    for (const Fields::Field field : recorder->head) {
      EXPECT_THAT(std::string(field.value), testing::Ne("guess")) << field.name;
    }
  }
}

TEST(MisbehavingPeerTest, ConnectionFieldsResetTheStream) {
  End server(true);
  server.Feed(RawHello() + RawRequest(1, true, {{"transfer-encoding", "chunked"}}));
  EXPECT_TRUE(server.recorders.empty());
  EXPECT_TRUE(HasFrame(server.Take(), kRstStream, 0, kProtocolError));
}

TEST(MisbehavingPeerTest, MoreDataThanTheWindowEndsTheConnection) {
  SessionOptions options;
  options.stream_window = 65'535;
  options.connection_window = 65'535;
  End server(true, options);
  server.consumes = false;
  std::string bytes = RawHello() + RawRequest(1, false);
  for (int i = 0; i < 5; ++i) bytes += Frame(kData, 0, 1, std::string(16'384, 'x'));
  server.Feed(bytes);
  EXPECT_TRUE(HasFrame(server.Take(), kGoaway, 4, 3)) << "FLOW_CONTROL_ERROR";
  ASSERT_EQ(server.recorders.size(), 1u);
  EXPECT_LE(server.recorders[0]->body.size(), 65'535u);
}

TEST(MisbehavingPeerTest, AFloodOfPingsEndsTheConnection) {
  SessionOptions options;
  options.idle_frames_burst = 50;
  options.idle_frames_per_second = 0;
  End server(true, options);
  ASSERT_TRUE(server.Feed(RawHello()));
  for (int i = 0; i < 49; ++i) ASSERT_TRUE(server.Feed(Frame(kPing, 0, 0, "12345678")));
  EXPECT_FALSE(HasFrame(server.Take(), kGoaway, 4, kEnhanceYourCalm));
  server.Feed(Frame(kPing, 0, 0, "12345678"));
  EXPECT_TRUE(HasFrame(server.Take(), kGoaway, 4, kEnhanceYourCalm));
  EXPECT_TRUE(server.session.IsDone());
}

TEST(MisbehavingPeerTest, FloodsOfSettingsAndEmptyDataEndTheConnectionToo) {
  SessionOptions options;
  options.idle_frames_burst = 50;
  options.idle_frames_per_second = 0;
  for (const std::string& frame : {Frame(kSettings, 0, 0, ""), Frame(kData, 0, 1, "")}) {
    End server(true, options);
    ASSERT_TRUE(server.Feed(RawHello() + RawRequest(1, false)));
    for (int i = 0; i < 60 && !server.session.IsDone(); ++i) server.Feed(frame);
    EXPECT_TRUE(HasFrame(server.Take(), kGoaway, 4, kEnhanceYourCalm));
    EXPECT_TRUE(server.session.IsDone());
  }
}

TEST(MisbehavingPeerTest, AFloodOfStreamsThatEndInErrorsEndsTheConnection) {
  SessionOptions options;
  options.resets_burst = 50;
  options.resets_per_second = 1;
  const auto reset = [](std::uint32_t stream) { return RawReset(stream, 8); };
  // A window that no stream may have: the server resets it.
  const auto overflow = [](std::uint32_t stream) {
    return Frame(kWindowUpdate, 0, stream, "\x7f\xff\xff\xff");
  };
  for (const auto& end : std::vector<std::function<std::string(std::uint32_t)>>{reset, overflow}) {
    End server(true, options);
    ASSERT_TRUE(server.Feed(RawHello()));
    std::uint32_t stream = 1;
    for (; stream < 10'000 && !server.session.IsDone(); stream += 2) {
      if (!server.Feed(RawRequest(stream, true) + end(stream))) break;
      server.Take();
    }
    EXPECT_TRUE(server.session.IsDone());
    EXPECT_LT(stream, 300u);
  }
}

TEST(MisbehavingPeerTest, PaddingOpensNoWindow) {
  SessionOptions options;
  options.stream_window = 65'535;
  options.connection_window = 65'535;
  End server(true, options);
  server.consumes = false;
  std::string bytes = RawHello() + RawRequest(1, false);
  const std::string payload = std::string("\xff") + std::string(256, 'x') + std::string(255, '\0');
  for (int i = 0; i < 1'000; ++i) bytes += Frame(kData, kPadded, 1, payload);
  server.Feed(bytes);
  EXPECT_TRUE(HasFrame(server.Take(), kGoaway, 4, 3)) << "FLOW_CONTROL_ERROR";
  EXPECT_LE(server.recorders.at(0)->body.size(), 65'535u);
}

TEST(MisbehavingPeerTest, PingsThatGoWithDataAreNoFlood) {
  SessionOptions options;
  options.idle_frames_burst = 10;
  options.idle_frames_per_second = 0;
  End server(true, options);
  ASSERT_TRUE(server.Feed(RawHello() + RawRequest(1, false)));
  for (int i = 0; i < 100; ++i) {
    ASSERT_TRUE(server.Feed(Frame(kData, 0, 1, "x") + Frame(kPing, 0, 0, "12345678")));
  }
  EXPECT_FALSE(HasFrame(server.Take(), kGoaway, 4, kEnhanceYourCalm));
}

TEST(MisbehavingPeerTest, AnswersThatNobodyReadsWaitWithinBounds) {
  // A peer that makes the server answer and never reads: acknowledgements do not pile up for ever.
  SessionOptions options;
  options.idle_frames_burst = 1'000'000;
  End server(true, options);
  ASSERT_TRUE(server.Feed(RawHello()));
  bool ok = true;
  for (int i = 0; i < 100'000 && ok && !server.session.IsDone(); ++i) {
    ok = server.Feed(Frame(kPing, 0, 0, "12345678"));
  }
  EXPECT_TRUE(!ok || server.session.IsDone());
  EXPECT_LT(server.session.frames_waiting(), 2'000u);
}

TEST(MisbehavingPeerTest, AServerThatMisbehavesEndsItsConnectionOnly) {
  End client(false);
  Recorder& recorder = client.Open(RequestHead(), true);
  client.Take();
  // DATA before any HEADERS.
  client.Feed(Frame(kSettings, 0, 0, "") + Frame(kData, 0, 1, "x"));
  const std::string said = client.Take();
  EXPECT_TRUE(HasFrame(said, kRstStream, 0, kProtocolError) ||
              HasFrame(said, kGoaway, 4, kProtocolError));
  if (client.session.IsDone()) client.session.CloseStreams(ErrorCode::kConnectionLost);
  EXPECT_TRUE(recorder.closed);
}

TEST(MisbehavingPeerTest, RandomBytesAfterAPrefaceDoNoHarm) {
  std::uint32_t state = 1;
  for (int round = 0; round < 2'000; ++round) {
    End server(true);
    std::string bytes = RawHello() + RawRequest(1, false);
    const std::size_t head = bytes.size();
    for (int i = 0; i < 200; ++i) {
      state = state * 1'664'525 + 1'013'904'223;
      bytes.push_back(static_cast<char>(state >> 24));
    }
    // Plausible sizes and types, so that the noise gets further than the first frame.
    bytes[head] = 0;
    bytes[head + 1] = 0;
    bytes[head + 2] = static_cast<char>(state % 40);
    bytes[head + 3] = static_cast<char>(state / 64 % 10);
    server.Feed(bytes, 50);
    server.Take();
  }
}

}  // namespace
}  // namespace penstock::h2
