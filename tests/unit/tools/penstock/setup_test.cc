#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <set>

#include "libs/base/ids.h"
#include "tools/penstock/client/errors.h"
#include "tools/penstock/setup/announce.h"
#include "tools/penstock/setup/up_options.h"

namespace penstock::cli {
namespace {

using testing::Contains;
using testing::HasSubstr;
using testing::Not;

TEST(UpOptionsTest, ListenersThatOthersReachNeedAuth) {
  UpOptions options;
  EXPECT_TRUE(CheckUpOptions(options).ok());
  options.bind = "0.0.0.0";
  const absl::Status refused = CheckUpOptions(options);
  EXPECT_EQ(ExitCodeOf(refused), kExitUsage);
  EXPECT_THAT(std::string(refused.message()), HasSubstr("--auth"));
  options.auth = "none";
  EXPECT_TRUE(CheckUpOptions(options).ok());
  options.bind = "::1";
  options.auth = "";
  EXPECT_TRUE(CheckUpOptions(options).ok());
  options.bind = "not an address";
  EXPECT_THAT(std::string(CheckUpOptions(options).message()), HasSubstr("--bind"));
}

TEST(UpOptionsTest, PortsOutOfRangeAreNamed) {
  UpOptions options;
  options.ports[static_cast<std::size_t>(Listener::kGrpc)] = 70'000;
  EXPECT_THAT(std::string(CheckUpOptions(options).message()), HasSubstr("--grpc-port"));
}

TEST(UpOptionsTest, OnlyWhatWasGivenOverridesTheConfiguration) {
  UpOptions options;
  for (const std::string& flag : SettingsOf(options)) {
    EXPECT_THAT(flag, Not(HasSubstr("http.listen")));
  }
  options.data_dir = "/data";
  options.ports[static_cast<std::size_t>(Listener::kHttp)] = 0;
  options.config_file = "p.yaml";
  const auto settings = SettingsOf(options);
  EXPECT_THAT(settings, Contains("--gateway.http.listen=127.0.0.1:0"));
  EXPECT_THAT(settings, Contains("--event_broker.data_dir=/data/event-broker"));
  EXPECT_THAT(settings,
              Contains("--event_broker.function_executor.address=inproc:function-executor"));
  EXPECT_THAT(settings, Contains("--gateway.event_broker.address=inproc:event-broker"));
  EXPECT_EQ(settings.front(), "--config=p.yaml");
}

TEST(UpOptionsTest, BindMovesAllListeners) {
  UpOptions options;
  options.bind = "::1";
  const auto settings = SettingsOf(options);
  EXPECT_THAT(settings, Contains("--gateway.http.listen=[::1]:8080"));
  EXPECT_THAT(settings, Contains("--admin.listen=[::1]:8083"));
}

TEST(UpOptionsTest, FreePortsDifferAndOthersStay) {
  Listeners listeners;
  for (config::ListenAddress& listener : listeners) listener = {"127.0.0.1", 0};
  listeners[1].port = 4711;
  ASSERT_TRUE(PickFreePorts(&listeners).ok());
  std::set<int> ports;
  for (const config::ListenAddress& listener : listeners) ports.insert(listener.port);
  EXPECT_EQ(ports.size(), kListeners.size());
  EXPECT_FALSE(ports.contains(0));
  EXPECT_EQ(listeners[1].port, 4711);
}

Announcement MakeAnnouncement() {
  Announcement announcement;
  announcement.data_dir = "./d";
  announcement.version = "1.2.3";
  for (const Listener listener : kListeners) {
    announcement.listeners[static_cast<std::size_t>(listener)] = {"0.0.0.0",
                                                                  DefaultPortOf(listener)};
  }
  return announcement;
}

TEST(AnnounceTest, TheBannerHasCommandsThatWorkAsTheyAre) {
  Announcement announcement = MakeAnnouncement();
  EXPECT_THAT(BannerOf(announcement), HasSubstr("http://127.0.0.1:8080"));
  EXPECT_THAT(BannerOf(announcement), HasSubstr("  penstock function create hello"));
  EXPECT_THAT(BannerOf(announcement), Not(HasSubstr("PENSTOCK_SERVER")));
  announcement.listeners[static_cast<std::size_t>(Listener::kGrpc)].port = 9;
  announcement.program = "bin/penstock";
  EXPECT_THAT(BannerOf(announcement), HasSubstr("export PENSTOCK_SERVER=127.0.0.1:9\n"));
  EXPECT_THAT(BannerOf(announcement), HasSubstr("  bin/penstock emit"));
}

TEST(AnnounceTest, ThePortsFileIsJson) {
  EXPECT_EQ(PortsJsonOf(MakeAnnouncement(), 7),
            "{\n  \"pid\": 7,\n  \"http\": 8080,\n  \"config\": 8081,\n  \"grpc\": 8082,\n"
            "  \"admin\": 8083,\n  \"addresses\": {\n    \"http\": \"127.0.0.1:8080\",\n"
            "    \"config\": \"127.0.0.1:8081\",\n    \"grpc\": \"127.0.0.1:8082\",\n"
            "    \"admin\": \"127.0.0.1:8083\"\n  }\n}\n");
}

TEST(AnnounceTest, AFileIsReplacedWhole) {
  const std::string folder = testing::TempDir() + "/announce-" + RandomHex(6);
  std::filesystem::create_directories(folder);
  const std::string path = PortsFileOf(folder);
  ASSERT_TRUE(WriteFile(path, "one").ok());
  ASSERT_TRUE(WriteFile(path, "two").ok());
  std::ifstream file(path);
  std::string text;
  file >> text;
  EXPECT_EQ(text, "two");
  EXPECT_FALSE(std::filesystem::exists(path + ".new"));
  EXPECT_FALSE(WriteFile(folder + "/missing/x", "y").ok());
  std::filesystem::remove_all(folder);
}

}  // namespace
}  // namespace penstock::cli
