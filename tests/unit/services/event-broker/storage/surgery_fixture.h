// Byte surgery on the files of a log on a simulated disk.
#pragma once

#include <map>

#include "services/event-broker/storage/batch_format.h"
#include "services/event-broker/storage/log_inspect.h"
#include "services/event-broker/storage/log_repair.h"
#include "services/event-broker/storage/segment.h"
#include "tests/unit/services/event-broker/storage/log_fixture.h"

namespace penstock::broker {

class SurgeryTest : public LogTest {
 protected:
  SurgeryTest() {
    options_.segment_bytes = 4096;
    options_.cache_bytes_max = 0;
  }

  // A log of several segments, closed.
  void Fill(int events = 60) {
    Open();
    AppendMany("e", events, 300);
    log_.reset();
  }
  // The first sequences of the segments.
  std::vector<Sequence> Segments() const {
    std::vector<Sequence> ids;
    for (const std::string& name : disk_.Names("log")) {
      if (const auto id = ParseSegmentFileName(name)) ids.push_back(*id);
    }
    return ids;
  }
  // The offsets of the batches in a segment's bytes.
  static std::vector<std::size_t> Offsets(const std::string& bytes) {
    std::vector<std::size_t> offsets;
    BatchHeader header;
    for (std::size_t at = 0;
         DecodeBatchHeader(std::string_view(bytes).substr(at), header) == HeaderVerdict::kValid;
         at += header.total_bytes()) {
      offsets.push_back(at);
    }
    return offsets;
  }
  void Flip(Sequence first, std::size_t at) {
    std::string bytes = Bytes(first);
    bytes.at(at) = static_cast<char>(bytes.at(at) ^ 0x10);
    disk_.Replace("log", File(first), bytes);
  }

  LogInspection Inspect(InspectOptions options = {.deep = true}) {
    const auto folder = disk_.OpenFolder("log");
    auto inspection = InspectLog(**folder, options);
    EXPECT_TRUE(inspection.ok()) << inspection.status().ToString();
    return inspection.ok() ? *std::move(inspection) : LogInspection{};
  }
  static std::vector<std::string> Kinds(const LogInspection& log) {
    std::vector<std::string> kinds;
    for (const Finding& finding : log.findings) kinds.emplace_back(FindingKindName(finding.kind));
    return kinds;
  }
  absl::StatusOr<RepairReport> Repair(bool dry_run = false) {
    const auto folder = disk_.OpenFolder("log");
    return RepairLog(**folder, clock_, {.dry_run = dry_run, .progress = {}});
  }
  // All files with their contents.
  std::map<std::string, std::string> Snapshot() const {
    std::map<std::string, std::string> files;
    for (const std::string& name : disk_.Names("log")) files[name] = disk_.Contents("log", name);
    return files;
  }
};

}  // namespace penstock::broker
