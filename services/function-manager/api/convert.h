// Between the messages of the contracts and the values of the domain. Shape only; no rules.
#pragma once

#include "penstock/functions/v1/function.pb.h"
#include "penstock/internal/v1/registry.pb.h"
#include "services/function-manager/domain/change_feed.h"
#include "services/function-manager/domain/function.h"
#include "services/function-manager/domain/update.h"

namespace penstock::functions {

// What the request sets; output-only fields are left out. Numbers that a duration cannot hold
// become the largest that it can, so that the rules refuse them.
SpecInput FromProto(const penstock::functions::v1::Function& message);

// The whole function, with the defaults filled in.
void ToProto(const Function& function, penstock::functions::v1::Function* message);

// A piece of a watch.
penstock::internal::v1::WatchFunctionsResponse ToProto(const WatchBatch& batch);

}  // namespace penstock::functions
