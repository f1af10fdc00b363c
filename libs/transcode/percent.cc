#include "libs/transcode/percent.h"

namespace penstock::transcode {
namespace {

int HexDigit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

}  // namespace

bool PercentDecode(std::string_view text, PercentRule rule, std::string* out) {
  out->clear();
  out->reserve(text.size());
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '+' && rule == PercentRule::kQuery) {
      out->push_back(' ');
      continue;
    }
    if (text[i] != '%') {
      out->push_back(text[i]);
      continue;
    }
    if (i + 2 >= text.size()) return false;
    const int high = HexDigit(text[i + 1]);
    const int low = HexDigit(text[i + 2]);
    if (high < 0 || low < 0) return false;
    const char decoded = static_cast<char>(high << 4 | low);
    if (decoded == '/' && rule == PercentRule::kSegments) {
      out->append(text.substr(i, 3));
    } else {
      out->push_back(decoded);
    }
    i += 2;
  }
  return true;
}

}  // namespace penstock::transcode
