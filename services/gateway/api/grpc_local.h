// Health and reflection for the whole suite, on the gateway's gRPC port.
#pragma once

#include <atomic>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "libs/h2/fields.h"
#include "libs/h2/stream.h"
#include "libs/http/event_loops.h"
#include "libs/http/per_loop.h"
#include "services/gateway/api/grpc_rules.h"

namespace penstock::gateway {

// grpc.health.v1.Health, and grpc.reflection.v1 and v1alpha (the same messages). Thread-safe; all
// references must outlive it.
class GrpcLocal {
 public:
  // Goes on with a health check that names a service: `received` is the body so far.
  using PassOn = std::function<void(h2::Stream& stream, const GrpcTarget& target,
                                    const h2::Fields& head, std::string_view received, bool end)>;

  GrpcLocal(http::EventLoops& loops, const http::PerLoop<GrpcRules>& rules, PassOn pass_on);
  ~GrpcLocal();

  // True when the method, "grpc.health.v1.Health/Check", is answered here: it sets the stream's
  // handler then. `end`: the request has ended with its head.
  bool Handle(std::string_view method, h2::Stream& stream, const h2::Fields& head, bool end);

  // Watchers hear NOT_SERVING, and their streams end. Not from a loop.
  void Drain();

 private:
  class HealthCall;
  class ReflectionCall;

  http::EventLoops& loops_;
  const http::PerLoop<GrpcRules>& rules_;
  const PassOn pass_on_;
  std::atomic<bool> is_draining_{false};
  // Of each loop.
  std::vector<std::vector<HealthCall*>> watchers_;
};

}  // namespace penstock::gateway
