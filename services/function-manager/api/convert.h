// Between the messages of the contracts and the values of the domain. Shape only; no rules.
#pragma once

#include <string>

#include "penstock/functions/v1/function.pb.h"
#include "penstock/functions/v1/middleware.pb.h"
#include "penstock/functions/v1/secret.pb.h"
#include "penstock/internal/v1/registry.pb.h"
#include "services/function-manager/domain/change_feed.h"
#include "services/function-manager/domain/function.h"
#include "services/function-manager/domain/secret.h"
#include "services/function-manager/domain/space_middleware.h"
#include "services/function-manager/domain/update.h"
#include "services/function-manager/ports/secret_cipher.h"

namespace penstock::functions {

// What the request sets; output-only fields are left out. Numbers that a duration cannot hold
// become the largest that it can, so that the rules refuse them.
SpecInput FromProto(const penstock::functions::v1::Function& message);

// The whole function, with the defaults filled in.
void ToProto(const Function& function, penstock::functions::v1::Function* message);

penstock::functions::v1::Function::State ToProto(FunctionState state);

// The steps as the domain has them: a JSON array, empty for none.
std::string StepsFromProto(
    const google::protobuf::RepeatedPtrField<penstock::functions::v1::Middleware>& steps);
void ToProto(const SpaceMiddleware& middleware, penstock::functions::v1::SpaceMiddleware* message);

// Never its values.
void ToProto(const Secret& secret, penstock::functions::v1::Secret* message);

// A piece of a watch, with the values of the secrets in it, which `cipher` decrypts.
penstock::internal::v1::WatchFunctionsResponse ToProto(const WatchBatch& batch,
                                                       const SecretCipher& cipher);

}  // namespace penstock::functions
