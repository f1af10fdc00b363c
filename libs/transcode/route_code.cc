#include "libs/transcode/route_code.h"

#include <fmt/format.h>

#include <map>
#include <mutex>

namespace penstock::transcode {
namespace {

using google::protobuf::DescriptorPool;

struct Registry {
  std::mutex mutex;
  std::map<std::string, std::span<const RouteCode>, std::less<>> services;
};

// Never destroyed, as it is filled before main.
Registry& TheRegistry() {
  static auto* const registry = new Registry;
  return *registry;
}

}  // namespace

void RegisterRoutes(std::string_view service, std::span<const RouteCode> routes) {
  Registry& registry = TheRegistry();
  const std::lock_guard lock(registry.mutex);
  registry.services.insert_or_assign(std::string(service), routes);
}

absl::StatusOr<std::vector<Binding>> GeneratedBindings(std::span<const char* const> services) {
  Registry& registry = TheRegistry();
  const std::lock_guard lock(registry.mutex);
  std::vector<Binding> bindings;
  for (const char* service : services) {
    const auto found = registry.services.find(std::string_view(service));
    if (found == registry.services.end()) {
      return absl::InternalError(fmt::format("the routes of {} are not linked in", service));
    }
    for (const RouteCode& code : found->second) {
      const auto* method =
          DescriptorPool::generated_pool()->FindMethodByName(std::string(code.method));
      if (method == nullptr) {
        return absl::InternalError(fmt::format("{} is not linked in", code.method));
      }
      bindings.push_back({.method = method,
                          .http_method = std::string(code.http_method),
                          .path_template = std::string(code.path_template),
                          .body = std::string(code.body),
                          .response_body = std::string(code.response_body),
                          .code = &code});
    }
  }
  return bindings;
}

}  // namespace penstock::transcode
