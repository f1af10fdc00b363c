// The generated JSON code that the gateway is linked with.
#include <google/protobuf/descriptor.h>
#include <gtest/gtest.h>

#include <vector>

#include "libs/protojson/codec.h"
#include "libs/transcode/route_code.h"

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

// The generated routes are those of the contracts, and one table holds them all.
TEST(CodecsTest, EveryRuleOfTheRestApiHasGeneratedCode) {
  const char* names[] = {"penstock.events.v1.EventBrokerService",
                         "penstock.events.v1.EventCatalogService",
                         "penstock.events.v1alpha1.TriggerCatalogService",
                         "penstock.functions.v1.FunctionManagerService",
                         "penstock.executions.v1.FunctionExecutorService"};
  std::vector<const google::protobuf::ServiceDescriptor*> services;
  for (const char* name : names) {
    services.push_back(google::protobuf::DescriptorPool::generated_pool()->FindServiceByName(name));
  }
  const auto read = transcode::ReadBindings(services);
  const auto generated = transcode::GeneratedBindings(names);
  ASSERT_TRUE(read.ok()) << read.status();
  ASSERT_TRUE(generated.ok()) << generated.status();
  ASSERT_EQ(read->size(), generated->size());
  for (std::size_t i = 0; i < read->size(); ++i) {
    EXPECT_EQ((*read)[i].method, (*generated)[i].method);
    EXPECT_EQ((*read)[i].path_template, (*generated)[i].path_template);
  }
  EXPECT_TRUE(transcode::RouteTable::Build(*generated).ok());
}

}  // namespace
}  // namespace penstock::gateway
