// The version of this build.
#pragma once

#include <string_view>

namespace penstock::config {

// "1.2.3", as the build declares it.
std::string_view Version();

}  // namespace penstock::config
