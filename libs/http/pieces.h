// Bytes of a body where they were read, on their way to where they are written.
#pragma once

#include <array>
#include <cstddef>
#include <limits>
#include <string_view>

namespace penstock::http {

// A few views into the buffer of a connection, in order. They stay valid until the reader's next
// Read or Release.
struct Pieces {
  static constexpr std::size_t kMax = 16;

  bool is_full() const { return count == kMax; }
  bool empty() const { return count == 0 && !is_last; }
  void Add(std::string_view view) {
    if (view.empty()) return;
    views[count++] = view;
    bytes += view.size();
  }
  void Clear() {
    count = bytes = 0;
    is_last = false;
  }

  std::array<std::string_view, kMax> views;
  std::size_t count = 0;
  // Of all views.
  std::size_t bytes = 0;
  // The body ends with these.
  bool is_last = false;
};

// What became of reading or writing pieces.
enum class Progress {
  kDone,     // There are pieces; they were written.
  kPending,  // There will be: a callback tells when to read again, or that they were written.
  kFailed,   // There never will be; the failure is told elsewhere.
};

// No limit on a body that nobody keeps.
inline constexpr std::size_t kUnlimited = std::numeric_limits<std::size_t>::max();

}  // namespace penstock::http
