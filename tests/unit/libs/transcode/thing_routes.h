// The routes of the test service, built once.
#pragma once

#include <string_view>

#include "libs/transcode/route_code.h"
#include "libs/transcode/route_table.h"
#include "tests/unit/libs/transcode/transcode_test.pb.h"

namespace penstock::transcode {

// A service of the test protos by its short name.
inline const google::protobuf::ServiceDescriptor* TestService(std::string_view name) {
  return google::protobuf::DescriptorPool::generated_pool()->FindServiceByName(
      "penstock.testing.transcode." + std::string(name));
}

inline const RouteTable& ThingRoutes() {
  static const auto* const table = [] {
#ifdef PENSTOCK_GENERATED_ROUTES
    const char* services[] = {"penstock.testing.transcode.ThingService"};
    return new RouteTable(*RouteTable::Build(*GeneratedBindings(services)));
#else
    const google::protobuf::ServiceDescriptor* services[] = {TestService("ThingService")};
    return new RouteTable(*RouteTable::Build(services));
#endif
  }();
  return *table;
}

}  // namespace penstock::transcode
