// Keeps the worker apart from the machine.
#pragma once

#include <string>

#include "tools/penstock-launch/settings.h"

namespace penstock::launch {

// Gives this process the namespaces and the user that `settings` ask for, and returns in the
// process that is to become the worker: with namespaces of its own that is a grandchild, for which
// this process waits and ends as it did. What is on, as a list like "user,no-network". Ends the
// process with an error for what the system does not allow; with best effort it is left out, and
// standard error says so.
std::string Isolate(const Settings& settings);

}  // namespace penstock::launch
