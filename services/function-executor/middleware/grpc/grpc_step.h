// The middleware `grpc`: asks a MiddlewareService of the user.
#pragma once

#include "services/function-executor/domain/middleware/catalog.h"
#include "services/function-executor/middleware/grpc/service_clients.h"

namespace penstock::executor {

// Registers the kind `grpc`. `clients` must outlive the chains of `catalog`.
void AddGrpcMiddleware(ServiceClients& clients, MiddlewareCatalog* catalog);

}  // namespace penstock::executor
