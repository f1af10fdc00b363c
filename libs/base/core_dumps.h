// Keeps the memory of a process out of files.
#pragma once

namespace penstock {

// From now on this process leaves no core dump and only root may attach to it (PR_SET_DUMPABLE).
// Programs that it starts are not touched: exec sets it back.
void ForbidCoreDumps();

}  // namespace penstock
