// How a revision of the function-manager is written.
#pragma once

#include <fmt/format.h>

#include <cstdint>
#include <string>

namespace penstock::functions {

// "function-manager:<revision>", for the metadata of answers to changes.
inline std::string RevisionText(std::int64_t revision) {
  return fmt::format("function-manager:{}", revision);
}

}  // namespace penstock::functions
