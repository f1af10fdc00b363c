// What middleware must be like before it is stored.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "libs/base/status.h"

namespace penstock::functions {

// Adds all problems of `steps`, a JSON array of messages `penstock.functions.v1.Middleware` (or
// empty for none); their fields are paths below `field`, with the names of the contract.
void CheckMiddleware(std::string_view field, const std::string& steps,
                     std::vector<FieldViolation>& violations);

}  // namespace penstock::functions
