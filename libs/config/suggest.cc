#include "libs/config/suggest.h"

#include <algorithm>
#include <cstddef>

namespace penstock::config {
namespace {

// A longer name is not compared: the cost grows with the product of the lengths.
constexpr std::size_t kLengthMax = 128;

// Insertions, deletions, replacements and swaps of neighbours that lead from `a` to `b`.
std::size_t Distance(std::string_view a, std::string_view b) {
  std::vector<std::size_t> before_last(b.size() + 1);
  std::vector<std::size_t> last(b.size() + 1);
  std::vector<std::size_t> row(b.size() + 1);
  for (std::size_t j = 0; j <= b.size(); ++j) last[j] = j;
  for (std::size_t i = 1; i <= a.size(); ++i) {
    row[0] = i;
    for (std::size_t j = 1; j <= b.size(); ++j) {
      const std::size_t replaced = last[j - 1] + (a[i - 1] == b[j - 1] ? 0 : 1);
      row[j] = std::min({last[j] + 1, row[j - 1] + 1, replaced});
      if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1]) {
        row[j] = std::min(row[j], before_last[j - 2] + 1);
      }
    }
    std::swap(before_last, last);
    std::swap(last, row);
  }
  return last[b.size()];
}

std::string_view LastPart(std::string_view name) { return name.substr(name.rfind('.') + 1); }

}  // namespace

std::string Suggest(std::string_view wrong, const std::vector<std::string>& names) {
  if (wrong.empty() || wrong.size() > kLengthMax) return "";
  std::string best;
  // A third of the letters may be wrong, but never more than three.
  std::size_t best_distance = std::min<std::size_t>(3, wrong.size() / 3) + 1;
  for (const std::string& name : names) {
    if (name.size() > kLengthMax) continue;
    const std::size_t distance = Distance(wrong, name);
    if (distance < best_distance) {
      best_distance = distance;
      best = name;
    }
  }
  if (!best.empty()) return best;
  for (const std::string& name : names) {
    if (LastPart(name) == LastPart(wrong)) return name;
  }
  return "";
}

}  // namespace penstock::config
