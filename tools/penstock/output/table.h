// Tables for people: aligned columns, short ages, cut texts.
#pragma once

#include <google/protobuf/duration.pb.h>
#include <google/protobuf/timestamp.pb.h>

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "libs/base/time.h"

namespace penstock::cli {

// Rows under headers. A cell is one line: white space is folded, control characters are replaced,
// and what is longer than the limit is cut with an ellipsis.
class Table {
 public:
  static constexpr std::size_t kCellCharactersMax = 60;

  explicit Table(std::vector<std::string> headers);

  // As many cells as there are headers.
  void AddRow(std::vector<std::string> cells);
  bool empty() const { return rows_.empty(); }

  // Lines with their ends; columns are two spaces apart, the last one is not padded. Empty cells
  // show as "-".
  std::string ToString() const;

 private:
  std::vector<std::string> headers_;
  std::vector<std::vector<std::string>> rows_;
};

// How a cell shows `text`.
std::string CellText(std::string_view text);

// "5s", "12m", "3h", "4d", "2y"; "0s" for what lies in the future.
std::string ShortAge(Microseconds age);
// The age of a time at `now`; "-" when it is not set.
std::string AgeOf(const google::protobuf::Timestamp& time, WallTime now);

// "850us", "12ms", "1.25s", "2m5s".
std::string ShortDuration(const google::protobuf::Duration& duration);

WallTime ToWallTime(const google::protobuf::Timestamp& time);
google::protobuf::Timestamp ToTimestamp(WallTime time);
google::protobuf::Duration ToProtoDuration(Microseconds duration);

// The last segment of a resource name.
std::string IdOf(std::string_view name);

}  // namespace penstock::cli
