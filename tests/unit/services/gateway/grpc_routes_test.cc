#include "services/gateway/api/grpc_routes.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

namespace penstock::gateway {
namespace {

using testing::HasSubstr;

TEST(MatchesMethodTest, PrefixesEndWhereAPartOfTheNameDoes) {
  const std::string method = "acme.v1.Users/Get";
  for (const char* pattern : {"acme", "acme.v1", "acme.v1.", "acme.v1.Users", "acme.v1.Users/",
                              "acme.v1.Users/Get", "/acme.v1.Users/Get"}) {
    EXPECT_TRUE(MatchesMethod(pattern, method)) << pattern;
  }
  for (const char* pattern :
       {"acm", "acme.v", "acme.v1.User", "acme.v1.Users/G", "v1", "acme.v1.Users/GetAll", "ACME"}) {
    EXPECT_FALSE(MatchesMethod(pattern, method)) << pattern;
  }
}

TEST(MatchesMethodTest, AStarStandsForAnyRunOfCharacters) {
  const std::string method = "acme.v1.Users/Get";
  for (const char* pattern : {"*", "acme.*", "*/Get", "acme.*.Users/*", "*.Users/G*t", "a*e*t",
                              "acme.v1.Users/Get*", "**"}) {
    EXPECT_TRUE(MatchesMethod(pattern, method)) << pattern;
  }
  for (const char* pattern : {"*/Ge", "acme.*.Groups/*", "v1.*", "*x*", "acme.v1*.Users/Put"}) {
    EXPECT_FALSE(MatchesMethod(pattern, method)) << pattern;
  }
}

TEST(MatchesMethodTest, IsQuickWhateverThePattern) {
  std::string pattern;
  for (int i = 0; i < 50; ++i) pattern += "a*";
  EXPECT_FALSE(MatchesMethod(pattern + "b", std::string(5'000, 'a')));
}

TEST(MatchesAuthorityTest, IgnoresCaseAndThePortUnlessThePatternHasOne) {
  EXPECT_TRUE(MatchesAuthority("api.acme.test", "API.acme.test:8082"));
  EXPECT_TRUE(MatchesAuthority("*.Acme.test", "api.acme.test"));
  EXPECT_FALSE(MatchesAuthority("*.acme.test", "acme.test"));
  EXPECT_TRUE(MatchesAuthority("api.acme.test:8082", "api.acme.test:8082"));
  EXPECT_FALSE(MatchesAuthority("api.acme.test:8082", "api.acme.test:8083"));
  EXPECT_FALSE(MatchesAuthority("api.acme.test:8082", "api.acme.test"));
  EXPECT_TRUE(MatchesAuthority("[::1]", "[::1]:8082"));
  EXPECT_TRUE(MatchesAuthority("[::1]", "[::1]"));
}

GrpcRoutes Example() {
  GrpcRoutes routes;
  routes.upstreams = {{"a", {"a:1"}, {"acme.v1"}, {}, false, "", false},
                      {"b", {"b:1"}, {}, {"b.test"}, false, "", false},
                      {"c", {"c:1"}, {"acme.v1", "acme.v2"}, {}, true, "", false},
                      {"d", {"d:1"}, {"acme.v3"}, {"d.test"}, false, "", false}};
  return routes;
}

TEST(GrpcRoutesTest, TheFirstUpstreamThatMatchesGetsTheCall) {
  const GrpcRoutes routes = Example();
  EXPECT_EQ(routes.Find("acme.v1.U/G", "", false), 0u);
  EXPECT_EQ(routes.Find("acme.v2.U/G", "b.test", false), 2u);
  EXPECT_EQ(routes.Find("other.U/G", "b.test:80", true), 1u);
  EXPECT_EQ(routes.Find("acme.v3.U/G", "d.test", true), 3u);
  EXPECT_EQ(routes.Find("acme.v1.U/G", "d.test", true), std::nullopt) << "both must match";
  EXPECT_EQ(routes.Find("acme.v3.U/G", "", false), std::nullopt);
}

TEST(GrpcRoutesTest, TheMasterApiComesBeforeTheSuiteAndTakesWhatItManages) {
  GrpcRoutes routes;
  routes.upstreams = {routes.master_api};
  EXPECT_EQ(routes.Find("penstock.functions.v1.FunctionManagerService/GetFunction", "", true), 0u);
  EXPECT_EQ(routes.Find("penstock.events.v1.EventCatalogService/ListSpaces", "a.test", true), 0u);
  EXPECT_EQ(routes.Find("penstock.events.v1.EventBrokerService/Publish", "", true), std::nullopt);
  EXPECT_EQ(routes.Find("penstock.functions.v1.FunctionManagerService/GetFunction", "", false),
            std::nullopt);
}

TEST(GrpcRoutesTest, DenyWinsOverAllow) {
  GrpcRoutes routes;
  EXPECT_TRUE(routes.Allows("a.S/M"));
  routes.deny = {"a.S/Delete*"};
  EXPECT_TRUE(routes.Allows("a.S/M"));
  EXPECT_FALSE(routes.Allows("a.S/DeleteAll"));
  routes.allow = {"a"};
  EXPECT_TRUE(routes.Allows("a.S/M"));
  EXPECT_FALSE(routes.Allows("a.S/DeleteAll"));
  EXPECT_FALSE(routes.Allows("b.S/M"));
}

TEST(GrpcRoutesTest, NamesEachKeyAtFault) {
  EXPECT_TRUE(Example().Validate().ok()) << Example().Validate();
  GrpcRoutes routes;
  routes.upstreams = {{"", {}, {"a"}, {}, false, "", false},
                      {"x", {"nowhere"}, {}, {}, false, "ca.pem", false},
                      {"x", {"y:1"}, {""}, {}, false, "", false}};
  routes.deny = {""};
  routes.master_api.addresses = {"there"};
  routes.master_api.methods = {};
  routes.master_api.tls_ca_file = "ca.pem";
  const std::string message(routes.Validate().message());
  for (const char* part :
       {"grpc.upstreams[0].name", "grpc.upstreams[0].addresses", "grpc.upstreams[1].addresses",
        "grpc.upstreams[1].methods", "grpc.upstreams[1].tls_ca_file", "grpc.upstreams[2].name",
        "grpc.upstreams[2].methods", "grpc.deny", "master_api.grpc.addresses",
        "master_api.grpc.methods", "master_api.grpc.tls_ca_file"}) {
    EXPECT_THAT(message, HasSubstr(part));
  }
}

}  // namespace
}  // namespace penstock::gateway
