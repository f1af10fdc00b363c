// The generated JSON code that the gateway is linked with.
#include <google/protobuf/descriptor.h>
#include <gtest/gtest.h>

#include "libs/protojson/codec.h"

namespace penstock::gateway {
namespace {

// A package whose generated code nobody links would be served by reflection, which no other test
// would notice.
TEST(CodecsTest, EveryMessageOfTheRestApiHasGeneratedCode) {
  const auto* pool = google::protobuf::DescriptorPool::generated_pool();
  for (const char* name :
       {"penstock.events.v1.EventBrokerService", "penstock.events.v1.EventCatalogService",
        "penstock.events.v1alpha1.TriggerCatalogService",
        "penstock.functions.v1.FunctionManagerService",
        "penstock.executions.v1.FunctionExecutorService"}) {
    const auto* service = pool->FindServiceByName(name);
    ASSERT_NE(service, nullptr) << name;
    for (int i = 0; i < service->method_count(); ++i) {
      for (const auto* type :
           {service->method(i)->input_type(), service->method(i)->output_type()}) {
        if (!type->full_name().starts_with("penstock.")) continue;
        EXPECT_TRUE(protojson::HasJsonCodec(type)) << type->full_name();
      }
    }
  }
}

}  // namespace
}  // namespace penstock::gateway
