// The routes of the test service, built once.
#pragma once

#include <string_view>

#include "libs/transcode/route_table.h"
#include "tests/unit/libs/transcode/transcode_test.pb.h"

namespace penstock::transcode {

// A service of the test proto by its short name.
inline const google::protobuf::ServiceDescriptor* TestService(std::string_view name) {
  return testing::transcode::Thing::descriptor()->file()->FindServiceByName(std::string(name));
}

inline const RouteTable& ThingRoutes() {
  static const auto* const table = [] {
    const google::protobuf::ServiceDescriptor* services[] = {TestService("ThingService")};
    return new RouteTable(*RouteTable::Build(services));
  }();
  return *table;
}

}  // namespace penstock::transcode
