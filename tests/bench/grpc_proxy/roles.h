// What the processes of the benchmark do. Each serves until its standard input ends, and prints its
// port first.
#pragma once

#include <string>

namespace penstock::gateway {

// Passes calls on to `address` by gRPC's generic callback API.
int RunGenericProxy(const std::string& address);
// Passes calls on to `address` as the gateway does.
int RunFrameProxy(const std::string& address);

}  // namespace penstock::gateway
