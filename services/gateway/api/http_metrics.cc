#include "services/gateway/api/http_metrics.h"

#include <algorithm>
#include <string>

namespace penstock::gateway {

std::string_view SurfaceName(Surface surface) {
  switch (surface) {
    case Surface::kPublish: return "publish";
    case Surface::kApi: return "api";
    case Surface::kInvoke: return "invoke";
    case Surface::kHttpEvent: return "http_event";
    case Surface::kConfig: return "config";
    case Surface::kProxy: return "proxy";
    case Surface::kService: return "service";
    case Surface::kWebRpc: return "web_rpc";
    case Surface::kOther: break;
  }
  return "other";
}

HttpMetrics::HttpMetrics(metrics::Registry& registry) {
  auto& requests = registry.CounterFamily("penstock_gateway_http_requests_total",
                                          "HTTP requests answered, by surface and status class.",
                                          {"surface", "status"});
  auto& durations = registry.HistogramFamily("penstock_gateway_http_request_duration_seconds",
                                             "From the request to its answer.", {"surface"});
  for (std::size_t i = 0; i < kSurfaces; ++i) {
    const std::string_view name = SurfaceName(static_cast<Surface>(i));
    for (int status = 1; status <= 5; ++status) {
      const std::string digits = std::to_string(status) + "xx";
      surfaces_[i].requests[static_cast<std::size_t>(status)] = &requests.With({name, digits});
    }
    surfaces_[i].duration = &durations.With({name});
  }
}

void HttpMetrics::Count(Surface surface, int status, Microseconds duration) {
  PerSurface& counted = surfaces_[static_cast<std::size_t>(surface)];
  counted.requests[static_cast<std::size_t>(std::clamp(status / 100, 1, 5))]->Increment();
  counted.duration->Observe(static_cast<double>(duration.count()) / 1e6);
}

}  // namespace penstock::gateway
