#include "services/function-executor/drivers/process/log_collector.h"

#include <algorithm>
#include <utility>

#include "libs/base/utf8.h"

namespace penstock::executor {
namespace {

constexpr std::size_t kLastWordsBytes = 1024;

}  // namespace

LogCollector::LogCollector(std::size_t bytes_max, std::size_t line_bytes_max)
    : bytes_max_(bytes_max), line_bytes_max_(line_bytes_max) {}

void LogCollector::Append(Stream stream, std::string_view chunk) {
  if (stream == Stream::kErr) {
    last_words_ += chunk.substr(chunk.size() - std::min(chunk.size(), kLastWordsBytes));
    if (last_words_.size() > kLastWordsBytes) {
      last_words_.erase(0, last_words_.size() - kLastWordsBytes);
    }
  }
  Pending* pending = stream == Stream::kOut ? &out_ : &err_;
  std::vector<std::string>* lines = stream == Stream::kOut ? &logs_.out : &logs_.err;
  while (!chunk.empty()) {
    const std::size_t end = chunk.find('\n');
    AddText(pending, chunk.substr(0, end));
    if (end == std::string_view::npos) return;
    EndLine(pending, lines);
    chunk.remove_prefix(end + 1);
  }
}

void LogCollector::AddText(Pending* pending, std::string_view text) {
  pending->begun = true;
  if (pending->skipping || text.empty()) return;
  const std::size_t room = line_bytes_max_ - pending->line.size();
  pending->line += text.substr(0, room);
  if (text.size() > room) {
    pending->skipping = true;
    logs_.truncated = true;
  }
}

void LogCollector::EndLine(Pending* pending, std::vector<std::string>* lines) {
  if (pending->line.size() + 1 > bytes_max_ - bytes_) {
    logs_.truncated = true;
    bytes_ = bytes_max_;  // Nothing after a line that was left out, or the log would have holes.
  } else {
    bytes_ += pending->line.size() + 1;
    if (!pending->line.empty() && pending->line.back() == '\r') pending->line.pop_back();
    lines->push_back(ToUtf8(pending->line));
  }
  pending->line.clear();
  pending->skipping = false;
  pending->begun = false;
}

Logs LogCollector::Take() {
  if (out_.begun) EndLine(&out_, &logs_.out);
  if (err_.begun) EndLine(&err_, &logs_.err);
  bytes_ = 0;
  last_words_.clear();
  return std::exchange(logs_, {});
}

}  // namespace penstock::executor
