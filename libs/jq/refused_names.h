// Finds names in a jq program that it may not use.
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace penstock::jq {

struct RefusedName {
  std::string name;    // As in the program: "input", "$ENV".
  std::string reason;  // Why, as the end of a sentence.
  int line = 1;
};

// The first name that reaches for what a transformation has none of: the environment ($ENV, env),
// modules and files (import, include, module, modulemeta, get_search_list, …), further inputs
// (input, inputs, …), output besides the result (debug, stderr), the end of the process (halt,
// halt_error). Fields (.env), keys ({env: 1}), variables ($input) and text do not count. The
// program need not be a valid one.
std::optional<RefusedName> FindRefusedName(std::string_view program);

}  // namespace penstock::jq
