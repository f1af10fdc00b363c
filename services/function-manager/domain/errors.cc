#include "services/function-manager/domain/errors.h"

namespace penstock::functions {

std::string HoldersText(const std::vector<std::string>& holders) {
  std::string named;
  for (std::size_t i = 0; i < holders.size() && i < kHoldersNamedMax; ++i) {
    named += fmt::format("{}\"{}\"", i == 0 ? "" : ", ", holders[i]);
  }
  if (holders.size() > kHoldersNamedMax) named += " and more";
  return named;
}

}  // namespace penstock::functions
