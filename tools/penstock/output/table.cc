#include "tools/penstock/output/table.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>

namespace penstock::cli {
namespace {

bool IsContinuation(char c) { return (static_cast<unsigned char>(c) & 0xc0) == 0x80; }

std::size_t CountCharacters(std::string_view text) {
  return static_cast<std::size_t>(
      std::count_if(text.begin(), text.end(), [](char c) { return !IsContinuation(c); }));
}

}  // namespace

std::string CellText(std::string_view text) {
  std::string out;
  std::size_t characters = 0;
  std::size_t cut = 0;  // Where the text ends when it has to be cut.
  bool is_space_due = false;
  const auto append = [&](char c) {
    if (!IsContinuation(c)) {
      if (characters == Table::kCellCharactersMax - 1) cut = out.size();
      ++characters;
    }
    out += c;
  };
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if (c == ' ' || c == '\n' || c == '\t' || c == '\r') {
      is_space_due = !out.empty();
      continue;
    }
    if (is_space_due) append(' ');
    is_space_due = false;
    append(byte < 0x20 || byte == 0x7f ? '?' : c);
    if (characters > Table::kCellCharactersMax) return out.substr(0, cut) + "…";
  }
  return out;
}

Table::Table(std::vector<std::string> headers) : headers_(std::move(headers)) {}

void Table::AddRow(std::vector<std::string> cells) {
  cells.resize(headers_.size());
  for (std::string& cell : cells) {
    cell = CellText(cell);
    if (cell.empty()) cell.push_back('-');
  }
  rows_.push_back(std::move(cells));
}

std::string Table::ToString() const {
  std::vector<std::size_t> widths;
  for (const std::string& header : headers_) widths.push_back(CountCharacters(header));
  for (const auto& row : rows_) {
    for (std::size_t i = 0; i < row.size(); ++i) {
      widths[i] = std::max(widths[i], CountCharacters(row[i]));
    }
  }
  std::string text;
  const auto append = [&](const std::vector<std::string>& row) {
    for (std::size_t i = 0; i < row.size(); ++i) {
      text += row[i];
      if (i + 1 < row.size()) text.append(widths[i] + 2 - CountCharacters(row[i]), ' ');
    }
    text += '\n';
  };
  append(headers_);
  for (const auto& row : rows_) append(row);
  return text;
}

std::string ShortAge(Microseconds age) {
  const auto seconds =
      std::max<std::int64_t>(0, std::chrono::duration_cast<std::chrono::seconds>(age).count());
  if (seconds < 120) return fmt::format("{}s", seconds);
  if (seconds < 2 * 3600) return fmt::format("{}m", seconds / 60);
  if (seconds < 2 * 86400) return fmt::format("{}h", seconds / 3600);
  if (seconds < 2 * 365 * 86400LL) return fmt::format("{}d", seconds / 86400);
  return fmt::format("{}y", seconds / (365 * 86400LL));
}

std::string AgeOf(const google::protobuf::Timestamp& time, WallTime now) {
  if (time.seconds() == 0 && time.nanos() == 0) return "-";
  return ShortAge(now - ToWallTime(time));
}

std::string ShortDuration(const google::protobuf::Duration& duration) {
  const std::int64_t micros = duration.seconds() * 1'000'000 + duration.nanos() / 1000;
  if (micros < 1000) return fmt::format("{}us", micros);
  if (micros < 1'000'000) return fmt::format("{}ms", micros / 1000);
  if (micros < 60'000'000) return fmt::format("{:.2f}s", static_cast<double>(micros) / 1e6);
  return fmt::format("{}m{}s", micros / 60'000'000, micros / 1'000'000 % 60);
}

WallTime ToWallTime(const google::protobuf::Timestamp& time) {
  return FromUnixMicros(time.seconds() * 1'000'000 + time.nanos() / 1000);
}

google::protobuf::Timestamp ToTimestamp(WallTime time) {
  const std::int64_t micros = ToUnixMicros(time);
  google::protobuf::Timestamp timestamp;
  timestamp.set_seconds(micros / 1'000'000);
  timestamp.set_nanos(static_cast<std::int32_t>(micros % 1'000'000 * 1000));
  return timestamp;
}

google::protobuf::Duration ToProtoDuration(Microseconds duration) {
  google::protobuf::Duration proto;
  proto.set_seconds(duration.count() / 1'000'000);
  proto.set_nanos(static_cast<std::int32_t>(duration.count() % 1'000'000 * 1000));
  return proto;
}

std::string IdOf(std::string_view name) {
  const std::size_t slash = name.rfind('/');
  return std::string(slash == std::string_view::npos ? name : name.substr(slash + 1));
}

}  // namespace penstock::cli
