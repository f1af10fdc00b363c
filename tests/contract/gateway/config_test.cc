#include "services/gateway/app/config.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <string>

#include "libs/base/status.h"

namespace penstock::gateway {
namespace {

// True when the configuration is refused for this key.
bool Refuses(const Config& config, const std::string& key) {
  const auto violations = FieldViolationsOf(config.Validate());
  return std::any_of(violations.begin(), violations.end(),
                     [&](const FieldViolation& violation) { return violation.field == key; });
}

TEST(GatewayConfigTest, TheDefaultsAreValid) {
  const Config config;
  EXPECT_TRUE(config.Validate().ok()) << config.Validate();
  config::Binder binder;
  Config bound;
  Bind(binder, bound);
  EXPECT_TRUE(binder.CheckValues().ok()) << binder.CheckValues();
}

TEST(GatewayConfigTest, AListenerOffLoopbackWantsAuth) {
  Config config;
  config.http_listen.address = "0.0.0.0";
  EXPECT_TRUE(Refuses(config, "auth"));
  config.auth = AuthKind::kNone;
  EXPECT_TRUE(config.Validate().ok());
  config = Config();
  config.grpc_listen = "*:8082";
  EXPECT_TRUE(Refuses(config, "auth"));
  config = Config();
  config.config_listen = "192.168.0.1:8081";
  EXPECT_TRUE(Refuses(config, "auth"));
}

TEST(GatewayConfigTest, ATargetIsPartOfAHeader) {
  Config config;
  config.http_limits.target_bytes_max = config.http_limits.header_bytes_max;
  EXPECT_TRUE(Refuses(config, "http.target_bytes_max"));
  --config.http_limits.target_bytes_max;
  EXPECT_TRUE(config.Validate().ok());
}

TEST(GatewayConfigTest, KeysNeedAFile) {
  Config config;
  config.auth = AuthKind::kApiKeys;
  EXPECT_TRUE(Refuses(config, "auth_keys_file"));
}

TEST(GatewayConfigTest, OriginsAreAsBrowsersSendThem) {
  Config config;
  config.cors_origins = {"https://app.example", "http://localhost:3000"};
  EXPECT_TRUE(config.Validate().ok());
  for (const char* bad : {"app.example", "https://app.example/", "null", ""}) {
    config.cors_origins = {bad};
    EXPECT_TRUE(Refuses(config, "http.cors.allow_origins")) << bad;
  }
  config.cors_origins = {"*"};
  EXPECT_TRUE(Refuses(config, "http.cors.allow_origins"));
  config.auth = AuthKind::kApiKeys;
  config.auth_keys_file = "keys";
  EXPECT_TRUE(config.Validate().ok());
}

TEST(GatewayConfigTest, TranscodingIsBuiltInOrAtAnAddress) {
  Config config;
  EXPECT_FALSE(config.HasTranscodingProxy());
  for (const char* good : {"http://127.0.0.1:8085", "http://grpc-gateway:8085/"}) {
    config.transcoding_by = good;
    EXPECT_TRUE(config.HasTranscodingProxy());
    EXPECT_TRUE(config.Validate().ok()) << good;
  }
  for (const char* bad : {"", "grpc-gateway:8085", "https://a", "http://a/path", "http://"}) {
    config.transcoding_by = bad;
    EXPECT_TRUE(Refuses(config, "transcoding.by")) << bad;
  }
}

TEST(GatewayConfigTest, NamesEveryBadAddress) {
  Config config;
  config.event_broker_address = "nowhere";
  config.function_manager_address = "host:99999";
  config.function_executor_address = "inproc:";
  config.grpc_listen = "x";
  config.config_listen = "y";
  config.peer_token_file = "";
  for (const char* key :
       {"event_broker.address", "function_manager.address", "function_executor.address",
        "grpc.listen", "config.listen", "peer.token_file"}) {
    EXPECT_TRUE(Refuses(config, key)) << key;
  }
}

TEST(GatewayConfigTest, ListenersCanBeOff) {
  Config config;
  config.grpc_listen = "inproc:";
  config.config_listen = "";
  EXPECT_TRUE(config.Validate().ok());
  EXPECT_FALSE(config.HasGrpcListener());
}

}  // namespace
}  // namespace penstock::gateway
