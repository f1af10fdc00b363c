// A log on a simulated disk that commits when the test says so.
#pragma once

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <memory>
#include <stdexcept>
#include <string>
#include <vector>

#include "libs/base/fake_clock.h"
#include "libs/base/status.h"
#include "services/event-broker/storage/segment_log.h"
#include "tests/fault/power_cut/simulated_disk.h"

namespace penstock::broker {

inline AppendRequest Event(const std::string& id, const std::string& body = "body") {
  AppendRequest request;
  request.space = "default";
  request.type = "created";
  request.source = "/shop";
  request.id = id;
  request.body = SharedBytes(body);
  return request;
}

class LogTest : public testing::Test {
 protected:
  LogTest() {
    options_.folder = "log";
    options_.own_thread = false;
    options_.reserve_bytes = 0;
    options_.set_aside_bytes = 0;  // Files end with what was written, unless a test wants more.
    options_.dedup_entries_max = 10'000;
    options_.on_note = [this](const std::string& note) { notes_.push_back(note); };
  }

  absl::Status TryOpen() {
    log_.reset();
    auto log = SegmentLog::Open(options_, disk_, clock_);
    if (!log.ok()) return log.status();
    log_ = *std::move(log);
    return absl::OkStatus();
  }
  void Open() {
    const absl::Status opened = TryOpen();
    // Thrown, because an assertion here would not end the test that called.
    if (!opened.ok()) throw std::runtime_error(opened.ToString());
  }

  // Appends in one commit and gives the results.
  std::vector<AppendResult> Append(std::vector<AppendRequest> requests) {
    std::vector<AppendResult> results;
    const absl::Status queued = log_->Append(
        std::move(requests), [&](std::vector<AppendResult> given) { results = std::move(given); });
    EXPECT_TRUE(queued.ok()) << queued.ToString();
    while (log_->Pump()) {
    }
    return results;
  }
  AppendResult AppendOne(AppendRequest request) { return Append({std::move(request)}).at(0); }
  // Appends `count` events "<prefix>0", "<prefix>1", … in commits of their own.
  void AppendMany(const std::string& prefix, int count, std::size_t body_bytes = 100) {
    for (int i = 0; i < count; ++i) {
      const auto result =
          AppendOne(Event(fmt::format("{}{}", prefix, i), std::string(body_bytes, 'x')));
      ASSERT_EQ(result.verdict, AppendVerdict::kAccepted) << result.status.ToString();
    }
  }

  // The ids of everything that can be read, in order; lost ranges appear as "lost 3-5".
  std::vector<std::string> ReadAll(ScanFilter filter = {}, std::size_t events_max = 7) {
    std::vector<std::string> ids;
    for (Sequence from = log_->horizon(); from <= log_->head();) {
      const auto result = log_->Scan({.from = from, .events_max = events_max, .filter = filter});
      EXPECT_TRUE(result.ok()) << result.status().ToString();
      if (!result.ok() || result->next <= from) break;
      for (const EventRecord& record : result->records) ids.emplace_back(record.id);
      if (result->lost.has_value()) {
        ids.push_back(fmt::format("lost {}-{}", result->lost->first, result->lost->last));
      }
      from = result->next;
    }
    return ids;
  }

  std::string File(Sequence first) const { return fmt::format("{:020}.seg", first); }
  std::string Bytes(Sequence first) const { return disk_.Contents("log", File(first)); }

  SegmentLogOptions options_;
  SimulatedDisk disk_{1};
  FakeClock clock_;
  std::vector<std::string> notes_;
  std::unique_ptr<SegmentLog> log_;
};

}  // namespace penstock::broker
