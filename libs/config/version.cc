#include "libs/config/version.h"

namespace penstock::config {

std::string_view Version() { return PENSTOCK_VERSION; }

}  // namespace penstock::config
