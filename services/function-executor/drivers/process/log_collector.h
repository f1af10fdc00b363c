// Keeps what a worker writes to standard output and error, within limits.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "services/function-executor/domain/invocation.h"

namespace penstock::executor {

// Cuts two streams into lines and keeps the first of them. What comes after the limit is counted as
// truncated and forgotten, so a flood costs no memory. Not thread-safe.
class LogCollector {
 public:
  enum class Stream { kOut, kErr };

  // `bytes_max` bounds all lines together (a line costs its length and one byte), `line_bytes_max`
  // each.
  LogCollector(std::size_t bytes_max, std::size_t line_bytes_max);

  // Takes what was read from `stream`, in any portions.
  void Append(Stream stream, std::string_view chunk);

  // What was kept since the last Take; a line without an end counts as one. Text is valid UTF-8.
  Logs Take();

  // The end of what standard error said most recently, at most 1 KiB: kept also when truncated.
  // Why a process died is in its last words.
  const std::string& last_words() const { return last_words_; }

 private:
  struct Pending {
    std::string line;       // Begun and not yet ended; never longer than line_bytes_max_.
    bool skipping = false;  // The rest of the line is beyond a limit.
    bool begun = false;     // Something of the line was seen, so an empty one counts.
  };

  void AddText(Pending* pending, std::string_view text);
  void EndLine(Pending* pending, std::vector<std::string>* lines);

  const std::size_t bytes_max_;
  const std::size_t line_bytes_max_;
  std::size_t bytes_ = 0;  // Of complete lines.
  Logs logs_;
  Pending out_;
  Pending err_;
  std::string last_words_;
};

}  // namespace penstock::executor
