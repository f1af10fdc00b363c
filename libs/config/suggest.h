// "Did you mean": the nearest of the names that exist.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace penstock::config {

// The name that `wrong` was probably meant to be: few letters away, or one whose last part it is
// ("listen" for "http.listen"). Empty when none is near.
std::string Suggest(std::string_view wrong, const std::vector<std::string>& names);

}  // namespace penstock::config
