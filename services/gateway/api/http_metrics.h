// Counts what the HTTP surfaces answer.
#pragma once

#include <array>
#include <cstddef>
#include <string_view>

#include "libs/base/time.h"
#include "libs/metrics/metrics.h"

namespace penstock::gateway {

// What a request was for.
enum class Surface {
  kPublish,
  kApi,
  kInvoke,
  kHttpEvent,
  kConfig,
  kProxy,
  kService,
  kWebRpc,
  kOther,
};
inline constexpr std::size_t kSurfaces = 9;

std::string_view SurfaceName(Surface surface);

// Thread-safe; no lock is taken while it counts.
class HttpMetrics {
 public:
  explicit HttpMetrics(metrics::Registry& registry);

  void Count(Surface surface, int status, Microseconds duration);

 private:
  struct PerSurface {
    // By class: [2] counts 2xx.
    std::array<metrics::Counter*, 6> requests{};
    metrics::Histogram* duration = nullptr;
  };
  std::array<PerSurface, kSurfaces> surfaces_;
};

}  // namespace penstock::gateway
