#include "tests/contract/event-log/log_under_test.h"

#include <fmt/format.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <stdexcept>

#include "libs/base/ids.h"
#include "services/event-broker/storage/posix_file_system.h"
#include "services/event-broker/storage/segment_log.h"
#include "tests/fault/power_cut/simulated_disk.h"

namespace penstock::broker {
namespace {

class SegmentLogUnderTest : public LogUnderTest {
 public:
  EventLog& log() override { return *log_; }
  FakeClock& clock() override { return clock_; }
  void Restart() override {
    log_.reset();
    auto opened = SegmentLog::Open(options_, files(), clock_);
    if (!opened.ok()) throw std::runtime_error(opened.status().ToString());
    log_ = *std::move(opened);
  }
  void RetainFor(Microseconds age) override {
    options_.retention.age = age;
    Restart();
    EXPECT_TRUE(log_->ApplyRetention().ok());
  }

 protected:
  explicit SegmentLogUnderTest(std::string folder) {
    options_.folder = std::move(folder);
    options_.segment_bytes = 4096;
    options_.record_bytes_max = 64 << 10;
    options_.queue_events_max = 1000;
    options_.reserve_bytes = 0;
    options_.cache_bytes_max = 4096;
    options_.dedup_entries_max = 10'000;
  }
  virtual FileSystem& files() = 0;

  FakeClock clock_;
  SegmentLogOptions options_;
  std::unique_ptr<SegmentLog> log_;
};

class OnSimulatedDisk final : public SegmentLogUnderTest {
 public:
  OnSimulatedDisk() : SegmentLogUnderTest("log") { Restart(); }
  ~OnSimulatedDisk() override { log_.reset(); }

 private:
  FileSystem& files() override { return disk_; }
  SimulatedDisk disk_{1};
};

class OnPosixFiles final : public SegmentLogUnderTest {
 public:
  OnPosixFiles() : SegmentLogUnderTest(testing::TempDir() + "/event-log-" + RandomHex(8)) {
    Restart();
  }
  ~OnPosixFiles() override {
    log_.reset();
    std::filesystem::remove_all(options_.folder);
  }

 private:
  FileSystem& files() override { return PosixFiles(); }
};

}  // namespace

std::vector<LogKind> AllLogKinds() {
  return {{"SegmentLogOnSimulatedDisk", [] { return std::make_unique<OnSimulatedDisk>(); }},
          {"SegmentLogOnPosixFiles", [] { return std::make_unique<OnPosixFiles>(); }}};
}

}  // namespace penstock::broker
