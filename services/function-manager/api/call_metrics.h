// Counts calls by RPC and code.
#pragma once

#include <string_view>

#include "libs/metrics/metrics.h"
#include "libs/rpc/server_unary.h"

namespace penstock::functions {

// Thread-safe. `registry` must outlive it and the calls it counts.
class CallMetrics {
 public:
  explicit CallMetrics(metrics::Registry& registry);

  // Counts one call that ended with `status`.
  void Count(std::string_view rpc, const absl::Status& status);

 private:
  metrics::Family<metrics::Counter>& requests_;
};

// Ends a call, once, and counts it. Copies end the same call; see rpc::ServerDone.
class CountedDone {
 public:
  // `rpc` is a literal.
  CountedDone(CallMetrics& metrics, std::string_view rpc, rpc::ServerDone done)
      : metrics_(&metrics), rpc_(rpc), done_(std::move(done)) {}

  // Called once for each call.
  void operator()(const absl::Status& status) const {
    metrics_->Count(rpc_, status);
    done_(status);
  }

 private:
  CallMetrics* metrics_;
  std::string_view rpc_;
  rpc::ServerDone done_;
};

}  // namespace penstock::functions
