// The founding configuration API's JSON, to and from the services' messages.
#pragma once

#include <penstock/events/v1/subscription.pb.h>
#include <penstock/functions/v1/function.pb.h>

#include <string>
#include <string_view>

#include "absl/status/statusor.h"

namespace penstock::gateway {

// {"functionId", "provider": {"type": "http", "url"}}.
struct LegacyFunction {
  std::string id;
  functions::v1::Function function;
};

// Errors say what is wrong in the words of that API; a provider that is not "http" is one.
absl::StatusOr<LegacyFunction> ReadLegacyFunction(std::string_view json);

// Appends the function as that API has it; one that lives elsewhere has its driver as the
// provider's type.
void AppendLegacyFunction(const functions::v1::Function& function, std::string* out);

// {"event", "functionId", "method"?, "path"?}: the event `http` with a path is a synchronous
// subscription.
struct LegacySubscription {
  // As that API names it: "<event>-<functionId>", "http-<METHOD>-<escaped path>".
  std::string id;
  std::string function;
  events::v1::Subscription subscription;
};

absl::StatusOr<LegacySubscription> ReadLegacySubscription(std::string_view json);

void AppendLegacySubscription(const events::v1::Subscription& subscription, std::string* out);

// The id of the resource behind a subscription id of that API, which may have characters and
// lengths that ours must not have.
std::string SubscriptionResourceId(std::string_view legacy_id);

}  // namespace penstock::gateway
