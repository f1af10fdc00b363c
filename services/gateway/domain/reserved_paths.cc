#include "services/gateway/domain/reserved_paths.h"

namespace penstock::gateway {

bool IsReservedPath(std::string_view path) {
  const std::string_view first = path.substr(0, path.find('/', 1));
  return first == "/events" || first.starts_with("/events:") || first == "/api" ||
         first == "/spaces" || first == "/openapi.json" || first.starts_with("/_");
}

}  // namespace penstock::gateway
