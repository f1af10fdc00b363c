// Which fields an update changes, after AIP-134.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "services/function-manager/domain/function.h"

namespace penstock::functions {

// The parts of a FunctionSpec that an update can name, as bits.
enum SpecField : std::uint32_t {
  kMetadata = 1U << 0U,
  kDescription = 1U << 1U,
  kTimeout = 1U << 2U,
  kMaxConcurrency = 1U << 3U,
  kEnvironment = 1U << 4U,
  kHttp = 1U << 5U,
  kProcess = 1U << 6U,
  kNoop = 1U << 7U,
  kSecrets = 1U << 8U,
  kInputSchema = 1U << 9U,
  kOutputSchema = 1U << 10U,
  kMiddleware = 1U << 11U,
  kAsync = 1U << 12U,
  kWeighted = 1U << 13U,
  kAllFields = (1U << 14U) - 1,
};
using SpecFields = std::uint32_t;
inline constexpr SpecFields kDriverFields = kHttp | kProcess | kNoop | kWeighted;

// A specification as a request gave it: fields that were not set hold their defaults.
struct SpecInput {
  FunctionSpec spec;
  SpecFields fields_set = 0;
};

// The fields that an update with this mask changes. Empty: all that are set. "*": all. Paths of
// fields that the server sets are ignored; another path is INVALID_ARGUMENT naming it. A driver is
// replaced whole, so a named driver must be set.
absl::StatusOr<SpecFields> FieldsToChange(const std::vector<std::string>& mask,
                                          const SpecInput& input);

// `current` with the given fields taken from `input`.
FunctionSpec Merge(FunctionSpec current, const SpecInput& input, SpecFields fields);

}  // namespace penstock::functions
