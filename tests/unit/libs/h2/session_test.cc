#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

#include "tests/unit/libs/h2/pipe.h"

namespace penstock::h2 {
namespace {

class SessionTest : public testing::Test {
 protected:
  // Opens a stream and brings it to the server.
  void Begin(bool end = false) {
    ours = &client.Open(RequestHead(), end);
    ASSERT_TRUE(Pump(client, server));
    ASSERT_EQ(server.recorders.size(), 1u);
    theirs = server.recorders.front().get();
  }

  End client{false};
  End server{true};
  Recorder* ours = nullptr;
  Recorder* theirs = nullptr;
};

TEST_F(SessionTest, CarriesACallWithTrailers) {
  Begin();
  EXPECT_EQ(theirs->head.Get(":path"), "/s/m");
  ours->stream->Write(Chunk::Copy("ping"));
  ours->stream->End();
  ASSERT_TRUE(Pump(client, server));
  EXPECT_EQ(theirs->body, "ping");
  EXPECT_TRUE(theirs->has_ended);
  theirs->stream->SendHead(AnswerHead(), false);
  theirs->stream->Write(Chunk::Copy("pong"));
  Fields trailers;
  trailers.Add("grpc-status", "0");
  theirs->stream->End(trailers);
  ASSERT_TRUE(Pump(client, server));
  EXPECT_EQ(ours->head.Get(":status"), "200");
  EXPECT_EQ(ours->body, "pong");
  ASSERT_TRUE(ours->trailers);
  EXPECT_EQ(ours->trailers->Get("grpc-status"), "0");
  EXPECT_EQ(ours->closed, ErrorCode::kNoError);
  EXPECT_EQ(theirs->closed, ErrorCode::kNoError);
  EXPECT_EQ(ours->sent, 4u);
  EXPECT_EQ(client.session.streams(), 0u);
  EXPECT_EQ(server.session.streams(), 0u);
}

TEST_F(SessionTest, TellsAnAnswerThatIsItsHeadAlone) {
  Begin(true);
  EXPECT_TRUE(theirs->has_ended);
  theirs->stream->SendHead(AnswerHead("404"), true);
  ASSERT_TRUE(Pump(client, server));
  EXPECT_TRUE(ours->has_head);
  EXPECT_TRUE(ours->has_ended);
  EXPECT_FALSE(ours->trailers);
  EXPECT_EQ(ours->closed, ErrorCode::kNoError);
}

TEST_F(SessionTest, ResetsAStreamWhoseTrailersAreTooLongToSend) {
  Begin(true);
  Fields trailers;
  trailers.Add("grpc-message", std::string(70'000, 'x'));
  theirs->stream->SendHead(AnswerHead(), false);
  theirs->stream->End(std::move(trailers));
  ASSERT_TRUE(Pump(client, server));
  EXPECT_EQ(ours->closed, ErrorCode::kInternalError);
  EXPECT_TRUE(theirs->closed);
}

TEST_F(SessionTest, SendsTrailersWithoutABody) {
  Begin(true);
  theirs->stream->SendHead(AnswerHead(), false);
  ASSERT_TRUE(Pump(client, server));
  EXPECT_TRUE(ours->has_head);
  EXPECT_FALSE(ours->has_ended);
  Fields trailers;
  trailers.Add("grpc-status", "5");
  theirs->stream->End(trailers);
  ASSERT_TRUE(Pump(client, server));
  ASSERT_TRUE(ours->trailers);
  EXPECT_EQ(ours->trailers->Get("grpc-status"), "5");
}

TEST_F(SessionTest, LetsTheSenderGoNoFurtherThanTheWindow) {
  server.consumes = false;
  Begin();
  const std::size_t window = SessionOptions().stream_window;
  ours->stream->Write(Chunk::Copy(std::string(3 * window, 'x')));
  ASSERT_TRUE(Pump(client, server));
  EXPECT_EQ(theirs->body.size(), window);
  EXPECT_EQ(theirs->stream->unconsumed(), window);
  EXPECT_EQ(ours->stream->queued(), 2 * window);
  EXPECT_EQ(ours->sent, window);
  theirs->stream->Consume(window);
  ASSERT_TRUE(Pump(client, server));
  EXPECT_EQ(theirs->body.size(), 2 * window);
}

TEST_F(SessionTest, AStreamThatIsNotReadHoldsUpNoOtherWhereTheWindowIsShared) {
  SessionOptions options;
  options.connection_window = options.stream_window;
  options.shares_window = true;
  End reader(false, options);
  reader.consumes = false;
  Recorder& slow = reader.Open(RequestHead(), true);
  reader.consumes = true;
  Recorder& quick = reader.Open(RequestHead(), true);
  ASSERT_TRUE(Pump(reader, server));
  for (const auto& recorder : server.recorders) {
    recorder->stream->SendHead(AnswerHead(), false);
    recorder->stream->Write(Chunk::Copy(std::string(1 << 20, 'x')));
    recorder->stream->End();
  }
  ASSERT_TRUE(Pump(reader, server));
  EXPECT_EQ(slow.body.size(), options.stream_window);
  EXPECT_EQ(quick.body.size(), 1u << 20);
}

TEST_F(SessionTest, GivesTheConnectionsWindowBackWhenAStreamGoesUnread) {
  SessionOptions options;
  options.connection_window = options.stream_window;
  End narrow(true, options);
  narrow.consumes = false;
  Recorder& first = client.Open(RequestHead(), false);
  first.stream->Write(Chunk::Copy(std::string(options.stream_window, 'x')));
  ASSERT_TRUE(Pump(client, narrow));
  narrow.recorders[0]->stream->Reset(ErrorCode::kCancel);
  Recorder& second = client.Open(RequestHead(), false);
  second.stream->Write(Chunk::Copy("y"));
  ASSERT_TRUE(Pump(client, narrow));
  ASSERT_EQ(narrow.recorders.size(), 2u);
  EXPECT_EQ(narrow.recorders[1]->body, "y");
}

TEST_F(SessionTest, TellsThePeerOfAReset) {
  Begin();
  ours->stream->Reset(ErrorCode::kCancel);
  ASSERT_TRUE(Pump(client, server));
  EXPECT_EQ(theirs->closed, ErrorCode::kCancel);
  EXPECT_FALSE(ours->closed);
  EXPECT_EQ(server.session.streams(), 0u);
}

TEST_F(SessionTest, SaysNothingOfAStreamThatWasResetBeforeItWasSent) {
  Recorder& recorder = client.Open(RequestHead(), false);
  recorder.stream->Write(Chunk::Copy("x"));
  recorder.stream->Reset(ErrorCode::kCancel);
  ASSERT_TRUE(Pump(client, server));
  EXPECT_TRUE(server.recorders.empty());
  EXPECT_EQ(client.session.streams(), 0u);
}

TEST_F(SessionTest, DropsWhatWaitsWhenItIsReset) {
  Begin();
  ours->stream->Write(Chunk::Copy(std::string(1 << 20, 'x')));
  // Half of it is on its way.
  ASSERT_TRUE(server.Feed(client.Take(64 * 1024)));
  ours->stream->Reset(ErrorCode::kCancel);
  ASSERT_TRUE(Pump(client, server));
  EXPECT_EQ(theirs->closed, ErrorCode::kCancel);
  EXPECT_LT(theirs->body.size(), 128u * 1024);
}

TEST_F(SessionTest, EndsAClientThatStillSendsWhenTheAnswerIsComplete) {
  Begin();
  theirs->stream->SendHead(AnswerHead(), false);
  Fields trailers;
  trailers.Add("grpc-status", "9");
  theirs->stream->End(trailers);
  ASSERT_TRUE(Pump(client, server));
  ASSERT_TRUE(ours->trailers);
  EXPECT_EQ(ours->trailers->Get("grpc-status"), "9");
  EXPECT_EQ(ours->closed, ErrorCode::kNoError);
  EXPECT_EQ(theirs->closed, ErrorCode::kNoError);
}

TEST_F(SessionTest, RefusesStreamsAboveItsLimit) {
  SessionOptions options;
  options.streams_max = 2;
  End small(true, options);
  // More than it allows are on their way before the client knows the limit.
  for (int i = 0; i < 3; ++i) client.Open(RequestHead(), false);
  ASSERT_TRUE(small.Feed(client.Take()));
  EXPECT_EQ(small.recorders.size(), 2u);
  ASSERT_TRUE(Pump(client, small));
  EXPECT_EQ(client.recorders[2]->closed, ErrorCode::kRefusedStream);
  EXPECT_EQ(client.session.peer_streams_max(), 2u);
}

TEST_F(SessionTest, EndsInPeaceAfterGoaway) {
  Begin();
  server.session.AnnounceGoaway();
  server.session.Ping();
  ASSERT_TRUE(Pump(client, server));
  EXPECT_TRUE(client.has_goaway);
  EXPECT_TRUE(server.has_ping_ack);
  server.session.FinishGoaway();
  ASSERT_TRUE(Pump(client, server));
  EXPECT_FALSE(server.session.IsDone());
  ours->stream->End();
  theirs->stream->SendHead(AnswerHead(), true);
  ASSERT_TRUE(Pump(client, server));
  EXPECT_EQ(ours->closed, ErrorCode::kNoError);
  EXPECT_TRUE(server.session.IsDone());
  EXPECT_TRUE(client.session.IsDone());
}

TEST_F(SessionTest, EndsItsStreamsWithTheConnection) {
  Begin();
  client.session.CloseStreams(ErrorCode::kConnectionLost);
  EXPECT_EQ(ours->closed, ErrorCode::kConnectionLost);
}

TEST_F(SessionTest, PassesLargeBodiesWhateverTheirPieces) {
  Begin();
  std::string body;
  for (int i = 0; i < 300'000; ++i) body += std::to_string(i);
  for (std::size_t at = 0, size = 1; at < body.size(); at += size, size = (size * 7) % 50'000 + 1) {
    ours->stream->Write(Chunk::Copy(std::string_view(body).substr(at, size)));
  }
  ours->stream->End();
  while (true) {
    // The socket takes little at a time.
    const std::string bytes = client.Take(10'000);
    const std::string back = server.Take();
    if (bytes.empty() && back.empty()) break;
    ASSERT_TRUE(server.Feed(bytes, 7'001));
    ASSERT_TRUE(client.Feed(back));
  }
  EXPECT_TRUE(theirs->has_ended);
  EXPECT_TRUE(theirs->body == body);
}

}  // namespace
}  // namespace penstock::h2
