// What gRPC's servers are extended with. For this folder's .cc files only.
#pragma once

#include <grpcpp/impl/server_builder_option.h>

#include <memory>
#include <string>
#include <vector>

namespace penstock::rpc {

// Decides about reflection for one server: linking gRPC's reflection library turns it on for every
// server of the process. Also gives the full names of the server's services to `names` (may be
// null) when it starts.
std::unique_ptr<grpc::ServerBuilderOption> ServerPlugins(bool reflection,
                                                         std::vector<std::string>* names);

}  // namespace penstock::rpc
