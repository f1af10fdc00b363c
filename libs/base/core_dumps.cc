#include "libs/base/core_dumps.h"

#include <sys/prctl.h>

namespace penstock {

void ForbidCoreDumps() { prctl(PR_SET_DUMPABLE, 0, 0, 0, 0); }

}  // namespace penstock
