// `penstock log …` and `penstock backup` on real folders.
#include <fmt/format.h>
#include <gmock/gmock.h>

#include <filesystem>
#include <fstream>
#include <future>

#include "libs/base/ids.h"
#include "libs/cloudevents/event.h"
#include "libs/lifecycle/data_folder_lock.h"
#include "services/event-broker/storage/posix_file_system.h"
#include "services/event-broker/storage/segment_log.h"
#include "tests/unit/tools/penstock/cli_fixture.h"

namespace penstock::cli {
namespace {

namespace fs = std::filesystem;
using testing::HasSubstr;
using testing::Not;

class LogCommandsTest : public testing::Test {
 protected:
  LogCommandsTest() : root_(testing::TempDir() + "/log-commands-" + RandomHex(8)) {
    broker::SegmentLogOptions options;
    options.folder = log();
    options.segment_bytes = 4096;
    options.reserve_bytes = 4096;
    options.dedup_entries_max = 1000;
    auto opened = *broker::SegmentLog::Open(options, broker::PosixFiles(), SystemClock());
    for (int call = 0; call < 12; ++call) {
      std::vector<broker::AppendRequest> requests;
      for (int i = 0; i < 5; ++i) requests.push_back(Event(5 * call + i));
      std::promise<void> done;
      EXPECT_TRUE(opened->Append(std::move(requests), [&](auto) { done.set_value(); }).ok());
      done.get_future().wait();
    }
  }
  ~LogCommandsTest() override { fs::remove_all(root_); }

  std::string data() const { return root_ + "/data"; }
  std::string log() const { return data() + "/log"; }
  std::string first_segment() const { return log() + "/00000000000000000001.seg"; }

  static broker::AppendRequest Event(int number) {
    cloudevents::CloudEvent event;
    event.set_spec_version("1.0");
    event.set_id(fmt::format("e{}", number));
    event.set_source("/s");
    event.set_type(number % 20 == 7 ? "rare" : "common");
    event.set_text_data(std::string(150, 'x'));
    broker::AppendRequest request{.space = number % 20 == 9 ? "team" : "default",
                                  .type = event.type(),
                                  .source = event.source(),
                                  .id = event.id()};
    request.body = broker::SharedBytes(event.SerializeAsString());
    return request;
  }
  void Damage(const std::string& path, std::streamoff at) {
    std::fstream file(path, std::ios::in | std::ios::out | std::ios::binary);
    file.seekp(at);
    file.put('\x55');
  }

  const std::string root_;
};

TEST_F(LogCommandsTest, VerifyFindsAnIntactLogFromEveryFolder) {
  for (const std::string& folder : {data(), log()}) {
    const Result result = RunProgram({"log", "verify", folder, "--deep"});
    EXPECT_EQ(result.code, 0) << result.err;
    EXPECT_THAT(result.out, HasSubstr("60 events, sequences 1 to 60"));
    EXPECT_THAT(result.out, HasSubstr("\nintact\n"));
  }
  const Result json = RunProgram({"log", "verify", data(), "-o", "json"});
  EXPECT_THAT(json.out, HasSubstr("\"intact\": true"));
  EXPECT_THAT(json.out, HasSubstr("\"head\": 60"));
}

TEST_F(LogCommandsTest, VerifyEndsWithFiveWhenEventsAreDamaged) {
  Damage(first_segment(), 300);
  EXPECT_EQ(RunProgram({"log", "verify", data()}).code, 0);
  const Result result = RunProgram({"log", "verify", data(), "--deep"});
  EXPECT_EQ(result.code, 5);
  EXPECT_THAT(result.out, HasSubstr("damage: 00000000000000000001.seg"));
  EXPECT_THAT(result.out, HasSubstr("sequences 1 to 5"));
}

TEST_F(LogCommandsTest, AFolderWithoutALogIsAnError) {
  const Result result = RunProgram({"log", "verify", root_ + "/nowhere"});
  EXPECT_EQ(result.code, 1);
  EXPECT_THAT(result.err, HasSubstr("holds no event log"));
  EXPECT_FALSE(fs::exists(root_ + "/nowhere"));
}

TEST_F(LogCommandsTest, DumpPrintsWhatWasAskedFor) {
  const Result range = RunProgram({"log", "dump", data(), "--from", "3", "--to", "4"});
  EXPECT_EQ(range.code, 0) << range.err;
  EXPECT_THAT(range.out, HasSubstr("\n4 "));
  EXPECT_THAT(range.out, Not(HasSubstr("\n5 ")));
  const Result rare = RunProgram({"log", "dump", data(), "--type", "rare", "--json"});
  EXPECT_THAT(rare.out, HasSubstr("{\"sequence\":8,"));
  EXPECT_THAT(rare.out, HasSubstr("\"id\":\"e47\""));
  EXPECT_THAT(rare.out, Not(HasSubstr("\"common\"")));
  const Result team = RunProgram({"log", "dump", data(), "--space", "team"});
  EXPECT_THAT(team.out, HasSubstr(" team common /s e9 "));
  EXPECT_THAT(team.out, Not(HasSubstr(" default ")));
  EXPECT_EQ(RunProgram({"log", "dump", data(), "--from", "yesterday"}).code, 2);
  EXPECT_EQ(RunProgram({"log", "dump", data(), "--from", "10m"}).code, 2);
}

TEST_F(LogCommandsTest, DumpTellsWhatCannotBeRead) {
  Damage(first_segment(), 300);
  const Result result = RunProgram({"log", "dump", data(), "--to", "7"});
  EXPECT_EQ(result.code, 5);
  EXPECT_THAT(result.err, HasSubstr("sequences 1 to 5"));
  EXPECT_THAT(result.out, HasSubstr(" e6 "));
}

TEST_F(LogCommandsTest, RepairWantsToBeToldWhatToDo) {
  EXPECT_EQ(RunProgram({"log", "repair", data()}).code, 2);
  EXPECT_EQ(RunProgram({"log", "repair", data(), "--yes", "--dry-run"}).code, 2);
}

TEST_F(LogCommandsTest, RepairSaysThenDoes) {
  EXPECT_EQ(RunProgram({"log", "repair", data(), "--dry-run"}).code, 0);
  Damage(first_segment(), 300);
  const Result dry = RunProgram({"log", "repair", data(), "--dry-run"});
  EXPECT_EQ(dry.code, 5);
  EXPECT_THAT(dry.out, HasSubstr("would do: 00000000000000000001.seg"));
  const Result done = RunProgram({"log", "repair", data(), "--yes"});
  EXPECT_EQ(done.code, 0) << done.err;
  EXPECT_THAT(done.out, HasSubstr("done: 00000000000000000001.seg"));
  EXPECT_TRUE(fs::exists(first_segment() + ".0.corrupt"));
  EXPECT_TRUE(fs::exists(first_segment() + ".0.corrupt.txt"));
  const Result again = RunProgram({"log", "repair", data(), "--yes"});
  EXPECT_THAT(again.out, HasSubstr("nothing to repair"));
  // What is lost stays lost, and is told.
  EXPECT_EQ(RunProgram({"log", "verify", data()}).code, 5);
}

TEST_F(LogCommandsTest, RepairRefusesALogThatIsInUse) {
  Damage(first_segment(), 300);
  {
    const auto lock = lifecycle::DataFolderLock::Acquire(data(), "penstock-event-broker");
    ASSERT_TRUE(lock.ok());
    for (const std::string& folder : {data(), log()}) {
      for (const char* const how : {"--yes", "--dry-run"}) {
        const Result result = RunProgram({"log", "repair", folder, how});
        EXPECT_EQ(result.code, 1) << how;
        EXPECT_THAT(result.err, HasSubstr("in use by penstock-event-broker"));
      }
    }
    // Looking is allowed.
    EXPECT_THAT(RunProgram({"log", "verify", data()}).err, HasSubstr("penstock-event-broker"));
    EXPECT_FALSE(fs::exists(first_segment() + ".0.corrupt"));
  }
  EXPECT_EQ(RunProgram({"log", "repair", data(), "--yes"}).code, 0);
}

TEST_F(LogCommandsTest, BackupMakesACopyThatVerifies) {
  const auto lock = lifecycle::DataFolderLock::Acquire(data(), "penstock-event-broker");
  const Result result = RunProgram({"backup", "--data-dir", data(), "--to", root_ + "/copy"});
  EXPECT_EQ(result.code, 0) << result.err;
  EXPECT_THAT(result.out, HasSubstr("sequences 1 to 60"));
  const Result verified = RunProgram({"log", "verify", root_ + "/copy", "--deep"});
  EXPECT_EQ(verified.code, 0) << verified.out;
  EXPECT_THAT(verified.out, HasSubstr("60 events"));
  EXPECT_EQ(RunProgram({"backup", "--data-dir", data(), "--to", root_ + "/copy"}).code, 1);
  EXPECT_EQ(RunProgram({"backup", "--data-dir", data()}).code, 2);
}

}  // namespace
}  // namespace penstock::cli
