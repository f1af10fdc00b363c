// Invocations that come back from the broker.
#pragma once

#include <penstock/internal/v1/invocation.pb.h>

#include <memory>
#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "services/function-executor/domain/invoker.h"

namespace penstock::executor {

// The attributes of an invocation's event, beside `subject` (the function's id) and `traceparent`.
inline constexpr char kInvocationRequested[] = "penstock.invocation.requested";
inline constexpr char kTagAttribute[] = "penstocktag";
inline constexpr char kStickyAttribute[] = "penstocksticky";
inline constexpr char kCallerAttribute[] = "penstockcaller";
inline constexpr char kRevisionAttribute[] =
    "penstockrevision";  // That the function is known from.
inline constexpr char kCallbackAttribute[] = "penstockcallback";
inline constexpr char kCallbackKeyAttribute[] =
    "penstockcallbackkey";  // The id of the secret that signs the callback.
inline constexpr char kOnSuccessAttribute[] =
    "penstockonsuccess";  // "function:{id}" or "type:{type}".
inline constexpr char kOnFailureAttribute[] = "penstockonfailure";
inline constexpr char kExecutionAttribute[] =
    "penstockexecution";                                    // Of a result: the execution's name.
inline constexpr char kStateAttribute[] = "penstockstate";  // Of a result: SUCCEEDED or FAILED.

// The id of the execution that a delivery of an invocation stands for; its attempts have a dot and
// their number behind it.
std::string AsyncExecutionId(std::string_view delivery_id);
// The delivery's id; empty when `execution_id` is of no invocation. An attempt's number is left
// out.
std::string DeliveryOfAsync(std::string_view execution_id);
// Whether it is the id of one attempt.
bool IsAsyncAttempt(std::string_view execution_id);

// Where the result of an invocation goes; empty texts for nowhere.
struct AsyncRoute {
  std::string on_success;
  std::string callback;
  std::string callback_key;  // The id of the secret that signs it.
  std::string execution;     // The name of the execution that it is the result of.
  std::string function;      // The name.
  std::string delivery_id;
  std::string traceparent;
};

// Makes a direct call of an order that was made for an event.
absl::Status MakeCall(const internal::v1::Invocation& invocation, InvokeOrder* order,
                      AsyncRoute* route);
// Makes a request to the URL that the event names of an order that was made for an event.
absl::Status MakeCallback(InvokeOrder* order);

// The result of a success, to be published by the broker wherever `route` says; empty for nowhere.
std::string ResultEvent(const AsyncRoute& route, const Outcome& outcome);

}  // namespace penstock::executor
