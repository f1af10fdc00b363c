// What each driver's settings must be like.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "libs/base/status.h"
#include "services/function-manager/domain/function.h"

namespace penstock::functions {

// Why `text` is not a URL that can be called, or empty.
std::string UrlProblem(std::string_view text);

// Adds what is wrong; fields are relative to the function, for example "http.url".
void CheckDriver(const Driver& driver, std::vector<FieldViolation>& violations);

}  // namespace penstock::functions
