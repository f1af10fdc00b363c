// What the gRPC proxy goes by.
#pragma once

#include <string>
#include <vector>

#include "services/gateway/api/authenticator.h"
#include "services/gateway/api/grpc_targets.h"

namespace penstock::gateway {

// Exchanged by a reload as a whole. Whoever shares it keeps what it refers to.
struct GrpcRules {
  const GrpcTargets& targets;
  const Authenticator& authenticator;
  // Full names of the suite's public services, as far as they may be called, and of those that the
  // gateway answers itself: for reflection.
  std::vector<std::string> services;

  // `targets` and `authenticator` must outlive the rules.
  static GrpcRules Of(const GrpcTargets& targets, const Authenticator& authenticator);
};

}  // namespace penstock::gateway
