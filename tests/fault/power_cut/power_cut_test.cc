// Cuts the power under load, again and again, and looks for what was acknowledged.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <future>
#include <map>
#include <mutex>
#include <random>
#include <thread>

#include "libs/base/fake_clock.h"
#include "services/event-broker/storage/segment_log.h"
#include "tests/fault/power_cut/simulated_disk.h"
#include "tests/fault/power_cut/unsynced_files.h"

namespace penstock::broker {
namespace {

constexpr int kDisks = 50;
constexpr int kCutsPerDisk = 4;
constexpr int kPublishers = 3;

struct Acknowledged {
  Sequence sequence;
  std::string body;
};

struct Tally {
  std::uint64_t cuts = 0;
  std::uint64_t acknowledged = 0;
  std::uint64_t lost = 0;      // Acknowledged, and not in the log under its sequence with its body.
  std::uint64_t reported = 0;  // Damaged ranges that the log itself reported.
  std::uint64_t forgotten = 0;  // Acknowledged, sent again and not recognized.
  std::uint64_t rolls = 0;      // Segments beyond the first.
};

// One disk and the log on it, through several cuts.
class Story {
 public:
  Story(std::uint64_t seed, bool with_sync, Tally& tally)
      : random_(seed), disk_(seed), unsynced_(disk_), tally_(tally) {
    files_ = with_sync ? static_cast<FileSystem*>(&disk_) : &unsynced_;
  }

  void Run() {
    for (int cut = 0; cut < kCutsPerDisk; ++cut) {
      auto log = Open();
      if (log == nullptr) return;
      disk_.CutPowerAfter(1 + random_() % 150);
      Publish(*log, cut);
      log->Stop();
      log.reset();
      EXPECT_FALSE(disk_.powered());
      disk_.Restart();
      ++tally_.cuts;
      if (random_() % 4 == 0) CutDuringRecovery();
      if (!Check()) return;
    }
    tally_.acknowledged += acknowledged_.size();
  }

 private:
  std::unique_ptr<SegmentLog> Open() {
    SegmentLogOptions options;
    options.folder = "log";
    options.segment_bytes = 8192;
    options.set_aside_bytes = 3000;
    options.reserve_bytes = 4096;
    options.cache_bytes_max = 0;  // Reads come from the disk.
    options.dedup_entries_max = 100'000;
    auto log = SegmentLog::Open(options, *files_, clock_);
    return log.ok() ? *std::move(log) : nullptr;
  }

  void CutDuringRecovery() {
    disk_.CutPowerAfter(1 + random_() % 6);
    Open();
    disk_.Restart();
  }

  // Several threads publish and wait for the answer until the power is gone.
  void Publish(SegmentLog& log, int round) {
    std::vector<std::thread> threads;
    for (int i = 0; i < kPublishers; ++i) {
      threads.emplace_back([this, &log, prefix = fmt::format("{}-{}", round, i), seed = random_()] {
        std::mt19937_64 random(seed);
        for (int n = 0; PublishOnce(log, fmt::format("{}-{}", prefix, n), random); ++n) {
        }
      });
    }
    for (std::thread& thread : threads) thread.join();
  }

  bool PublishOnce(SegmentLog& log, const std::string& name, std::mt19937_64& random) {
    std::vector<AppendRequest> requests(1 + random() % 5);
    for (std::size_t i = 0; i < requests.size(); ++i) {
      requests[i].space = "default";
      requests[i].type = fmt::format("type-{}", random() % 3);
      requests[i].source = "/test";
      requests[i].id = fmt::format("{}-{}", name, i);
      requests[i].body = SharedBytes(std::string(random() % 600, static_cast<char>('a' + i)));
    }
    const std::vector<AppendRequest> sent = requests;
    std::promise<std::vector<AppendResult>> answer;
    const absl::Status queued = log.Append(
        std::move(requests),
        [&answer](std::vector<AppendResult> results) { answer.set_value(std::move(results)); });
    if (!queued.ok()) return false;
    const std::vector<AppendResult> results = answer.get_future().get();
    const std::lock_guard lock(mutex_);
    for (std::size_t i = 0; i < sent.size(); ++i) {
      if (results[i].verdict == AppendVerdict::kFailed) return false;
      acknowledged_[sent[i].id] = {results[i].sequence, std::string(sent[i].body.view())};
    }
    return true;
  }

  // Reads everything; false when the story cannot go on.
  bool Check() {
    auto log = Open();
    if (log == nullptr) {
      tally_.acknowledged += acknowledged_.size();
      tally_.lost += acknowledged_.size();
      return false;
    }
    std::map<Sequence, EventRecord> stored;
    for (Sequence from = log->horizon(); from <= log->head();) {
      auto result = log->Scan({.from = from, .events_max = 100});
      if (!result.ok()) break;
      for (EventRecord& record : result->records) stored[record.sequence] = std::move(record);
      from = result->next;
    }
    tally_.rolls += log->Health().segments - std::min<std::uint64_t>(1, log->Health().segments);
    tally_.reported += log->Health().lost.size();
    std::uint64_t lost = 0;
    for (const auto& [id, expected] : acknowledged_) {
      const auto found = stored.find(expected.sequence);
      if (found == stored.end() || found->second.id != id || found->second.body != expected.body) {
        ++lost;
      }
    }
    if (lost == 0 && !acknowledged_.empty()) SendAgain(*log);
    tally_.lost += lost;
    if (lost > 0) tally_.acknowledged += acknowledged_.size();
    return lost == 0;
  }

  // An acknowledged event that is sent again must meet its first self.
  void SendAgain(SegmentLog& log) {
    auto chosen = acknowledged_.begin();
    std::advance(chosen, static_cast<std::ptrdiff_t>(random_() % acknowledged_.size()));
    AppendRequest request{.space = "default", .source = "/test", .id = chosen->first};
    request.body = SharedBytes(chosen->second.body);
    std::promise<std::vector<AppendResult>> answer;
    ASSERT_TRUE(log.Append({request},
                           [&answer](std::vector<AppendResult> results) {
                             answer.set_value(std::move(results));
                           })
                    .ok());
    const AppendResult result = answer.get_future().get().at(0);
    if (result.verdict != AppendVerdict::kDuplicate || result.sequence != chosen->second.sequence) {
      ++tally_.forgotten;
    }
  }

  std::mt19937_64 random_;
  SimulatedDisk disk_;
  UnsyncedFiles unsynced_;
  FileSystem* files_;
  FakeClock clock_;
  Tally& tally_;
  std::mutex mutex_;
  std::map<std::string, Acknowledged> acknowledged_;
};

Tally RunStories(bool with_sync) {
  Tally tally;
  for (int disk = 0; disk < kDisks; ++disk) {
    Story(static_cast<std::uint64_t>(disk) + 1, with_sync, tally).Run();
  }
  fmt::print("cuts={} acknowledged={} lost={} forgotten={} ranges_reported={} segments_rolled={}\n",
             tally.cuts, tally.acknowledged, tally.lost, tally.forgotten, tally.reported,
             tally.rolls);
  return tally;
}

TEST(PowerCutTest, LosesNothingThatWasAcknowledged) {
  const Tally tally = RunStories(/*with_sync=*/true);
  EXPECT_EQ(tally.cuts, kDisks * kCutsPerDisk);
  EXPECT_GT(tally.acknowledged, 5'000u);
  EXPECT_GT(tally.rolls, 100u);
  EXPECT_EQ(tally.lost, 0u);
  EXPECT_EQ(tally.forgotten, 0u);
  EXPECT_EQ(tally.reported, 0u);
}

TEST(PowerCutTest, NoticesThatSyncsAreMissing) {
  const Tally tally = RunStories(/*with_sync=*/false);
  EXPECT_GT(tally.lost, 0u);
}

}  // namespace
}  // namespace penstock::broker
