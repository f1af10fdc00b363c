#include "libs/transcode/percent.h"

#include "libs/base/percent.h"

namespace penstock::transcode {

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
    const int high = HexValue(text[i + 1]);
    const int low = HexValue(text[i + 2]);
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
