#include "libs/rpc/write_pump.h"

#include <gtest/gtest.h>

namespace penstock::rpc {
namespace {

// A stream whose writes end when the test says so.
class FakeStream final : public WritePump {
 public:
  int waiting = 0;
  int writes = 0;
  int closes = 0;
  bool closed_broken = false;

 private:
  bool FillAndStart() override {
    if (waiting == 0) return false;
    waiting = 0;
    ++writes;
    return true;
  }
  void Close(bool broken) override {
    ++closes;
    closed_broken = broken;
  }
};

TEST(WritePumpTest, NothingHappensBeforeOpen) {
  FakeStream stream;
  stream.waiting = 1;
  stream.Kick();
  EXPECT_EQ(stream.writes, 0);
  stream.Open();
  EXPECT_EQ(stream.writes, 1);
}

TEST(WritePumpTest, OneWriteIsInFlightAndTheRestGoesTogether) {
  FakeStream stream;
  stream.Open();
  for (int i = 0; i < 5; ++i) {
    ++stream.waiting;
    stream.Kick();
  }
  EXPECT_EQ(stream.writes, 1);
  stream.WriteDone(true);
  EXPECT_EQ(stream.writes, 2);
  EXPECT_EQ(stream.waiting, 0);
}

TEST(WritePumpTest, ClosesOnceAfterWhatIsLeft) {
  FakeStream stream;
  stream.Open();
  stream.waiting = 1;
  stream.Kick();
  stream.waiting = 1;
  stream.CloseWhenDrained();
  EXPECT_EQ(stream.closes, 0);
  stream.WriteDone(true);
  EXPECT_EQ(stream.writes, 2);
  stream.WriteDone(true);
  EXPECT_EQ(stream.closes, 1);
  EXPECT_FALSE(stream.closed_broken);
  stream.waiting = 1;
  stream.Kick();
  stream.Break();
  EXPECT_EQ(stream.writes, 2);
  EXPECT_EQ(stream.closes, 1);
}

TEST(WritePumpTest, BreakWaitsForTheWriteInFlightAndSendsNoMore) {
  FakeStream stream;
  stream.Open();
  stream.waiting = 1;
  stream.Kick();
  stream.waiting = 1;
  stream.Break();
  EXPECT_EQ(stream.closes, 0);
  stream.WriteDone(false);
  EXPECT_EQ(stream.writes, 1);
  EXPECT_EQ(stream.closes, 1);
  EXPECT_TRUE(stream.closed_broken);
}

}  // namespace
}  // namespace penstock::rpc
