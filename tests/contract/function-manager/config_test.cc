#include "services/function-manager/app/config.h"

#include <gtest/gtest.h>

#include <string>

#include "libs/base/status.h"
#include "libs/config/load.h"

namespace penstock::functions {
namespace {

std::string KeyOf(const absl::Status& status) {
  const auto violations = FieldViolationsOf(status);
  return violations.empty() ? "" : violations[0].field;
}

TEST(ConfigTest, IsValidByDefault) {
  EXPECT_EQ(Config().Validate(), absl::OkStatus());
  EXPECT_TRUE(Config().HasListener());
}

TEST(ConfigTest, NeedsNoListener) {
  for (const char* listen : {"", "inproc:"}) {
    Config config;
    config.grpc_listen = listen;
    EXPECT_EQ(config.Validate(), absl::OkStatus());
    EXPECT_FALSE(config.HasListener());
  }
}

TEST(ConfigTest, NamesTheKeyThatIsWrong) {
  Config config;
  config.grpc_listen = "nowhere";
  EXPECT_EQ(KeyOf(config.Validate()), "grpc.listen");
  config = {};
  config.data_dir = "";
  EXPECT_EQ(KeyOf(config.Validate()), "data_dir");
  config = {};
  config.peer_token_file = "";
  EXPECT_EQ(KeyOf(config.Validate()), "peer.token_file");
  config = {};
  config.spaces_allowed = {"default", "x"};
  EXPECT_EQ(KeyOf(config.Validate()), "spaces.allowed[1]");
}

TEST(ConfigTest, ReadsItsKeys) {
  Config config;
  config::Binder binder;
  Bind(binder, config);
  const char* const argv[] = {"test", "--grpc.listen=127.0.0.1:1", "--data_dir=/d",
                              "--peer.token_file=/t", "--spaces.allowed=shop,default"};
  const auto outcome = config::Load({"test", "", ""}, 5, argv, binder);
  ASSERT_TRUE(outcome.run);
  EXPECT_EQ(config.grpc_listen, "127.0.0.1:1");
  EXPECT_EQ(config.data_dir, "/d");
  EXPECT_EQ(config.peer_token_file, "/t");
  EXPECT_EQ(config.spaces_allowed, (std::vector<std::string>{"shop", "default"}));
}

}  // namespace
}  // namespace penstock::functions
