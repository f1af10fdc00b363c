// The services behind the gateway, and which of them owns a method.
#pragma once

#include <google/protobuf/message.h>

#include <array>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "libs/http/dns.h"
#include "libs/http/event_loops.h"
#include "libs/rpc/call_options.h"
#include "libs/rpc/channel.h"
#include "libs/rpc/generic_call.h"
#include "libs/rpc/wire_unary.h"

namespace penstock::gateway {

enum class Backend { kEventBroker, kFunctionManager, kFunctionExecutor };
inline constexpr std::size_t kBackends = 3;

// "event-broker", …
std::string_view BackendName(Backend backend);

// The owner of a public method, "/penstock.events.v1.EventBrokerService/Publish" with or without
// the slash in front; nothing for internal and unknown ones.
std::optional<Backend> OwnerOf(std::string_view full_method);

// Adds to an UNAVAILABLE that says no more which service it is about; other statuses come back as
// they are.
absl::Status NamedUnavailable(std::string_view service, std::string_view address,
                              const absl::Status& status);

struct BackendAddresses {
  std::string event_broker;
  std::string function_manager;
  std::string function_executor;
};

// Channels and callers that connect when they are first used. Thread-safe. `loops` must outlive it.
class Backends {
 public:
  Backends(http::EventLoops& loops, const BackendAddresses& addresses);

  rpc::LazyChannel& channel(Backend backend) {
    return *channels_[static_cast<std::size_t>(backend)];
  }

  // A unary call of the service, to be made on a loop. `done` runs on that loop, or on a callback
  // thread where the service is in this process; inside this call only when there is no channel.
  // Both messages are shared with the call until then. Errors are as Named has them.
  void Call(Backend backend, const std::string& method,
            std::shared_ptr<const google::protobuf::Message> request,
            std::shared_ptr<google::protobuf::Message> response, const rpc::CallOptions& options,
            rpc::GenericDone done);

  // Makes unary calls without gRPC's library, from a loop; null for a service in this process,
  // which the channel reaches.
  rpc::UnaryCaller* caller(Backend backend) {
    return callers_[static_cast<std::size_t>(backend)].get();
  }

  // Ends the callers' calls. Not from a loop.
  void Stop();

  // NamedUnavailable with the service's name and address.
  absl::Status Named(Backend backend, const absl::Status& status) const;

 private:
  std::array<std::unique_ptr<rpc::LazyChannel>, kBackends> channels_;
  http::Dns dns_;
  std::array<std::unique_ptr<rpc::UnaryCaller>, kBackends> callers_;
};

}  // namespace penstock::gateway
