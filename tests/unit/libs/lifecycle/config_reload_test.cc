#include "libs/lifecycle/config_reload.h"

#include <filesystem>
#include <fstream>
#include <mutex>
#include <optional>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "libs/log/log.h"

namespace penstock::lifecycle {
namespace {

using testing::HasSubstr;
using testing::Not;

struct Fields {
  int limit = 10;
  std::string name = "a";
};

void Bind(config::Binder& binder, Fields& fields) {
  binder.Int("limit", &fields.limit, "a limit", {1, 100});
  binder.String("name", &fields.name, "a name");
  binder.Reloadable("limit");
}

class ConfigReloadTest : public testing::Test {
 protected:
  ConfigReloadTest() {
    log::Configure({.level = log::Level::kInfo,
                    .format = log::Format::kText,
                    .service = "test",
                    .sink = [this](std::string_view line) {
                      const std::lock_guard lock(mutex_);
                      log_ += std::string(line) + "\n";
                    }});
  }
  ~ConfigReloadTest() override {
    log::Flush();
    log::Configure(
        {.level = log::Level::kInfo, .format = log::Format::kText, .service = "test", .sink = {}});
    std::filesystem::remove(file_);
  }

  void Write(const std::string& text) { std::ofstream(file_) << text; }

  // Starts a program with what the file holds.
  void Start() {
    config::Binder binder;
    Bind(binder, running_);
    const char* argv[] = {"program", "--config", file_.c_str()};
    ASSERT_TRUE(config::Load(program_, 3, argv, binder).run);
    reload_.emplace(program_, std::vector<std::string>(argv, argv + 3), binder, metrics_, [this] {
      auto fields = std::make_shared<Fields>();
      ConfigReload::Reading reading;
      Bind(reading.binder, *fields);
      reading.validate = [fields] {
        return fields->limit == 13 ? absl::InvalidArgumentError("13 brings bad luck")
                                   : absl::OkStatus();
      };
      reading.apply = [this, fields]() -> absl::StatusOr<std::vector<std::string>> {
        if (!apply_.ok()) return apply_;
        running_.limit = fields->limit;
        return renewed_;
      };
      reading.fields = fields;
      return reading;
    });
  }
  // What a reading logged.
  std::string Reload(bool succeeds = true) {
    {
      const std::lock_guard lock(mutex_);
      log_.clear();
    }
    EXPECT_EQ(reload_->Run().ok(), succeeds);
    log::Flush();
    const std::lock_guard lock(mutex_);
    return log_;
  }

  const config::Program program_{"program", "", "A program."};
  const std::string file_ = testing::TempDir() + "config_reload_test.yaml";
  Fields running_;
  absl::Status apply_;
  std::vector<std::string> renewed_;
  metrics::Registry metrics_;
  std::optional<ConfigReload> reload_;
  std::mutex mutex_;
  std::string log_;
};

TEST_F(ConfigReloadTest, TakesOverWhatCanBeAndNamesWhatWaitsForTheNextStart) {
  Write("limit: 20\nname: b\n");
  Start();
  Write("limit: 30\nname: c\n");
  const std::string log = Reload();
  EXPECT_EQ(running_.limit, 30);
  EXPECT_EQ(running_.name, "b");
  EXPECT_THAT(log, HasSubstr("changed=limit"));
  EXPECT_THAT(log, HasSubstr("keys=name"));
}

TEST_F(ConfigReloadTest, AKeyThatIsBackAtItsStartIsNotNamed) {
  Write("name: b\n");
  Start();
  Write("name: c\n");
  EXPECT_THAT(Reload(), HasSubstr("keys=name"));
  Write("name: b\n");
  EXPECT_THAT(Reload(), Not(HasSubstr("keys=")));
}

TEST_F(ConfigReloadTest, ABadFileIsRefusedWithItsPlacesAndTheOldOneGoesOn) {
  Write("limit: 20\n");
  Start();
  for (const auto& [text, problem] :
       {std::pair("limit: 30\nnaem: c\n", ":2:1: naem"), std::pair("limit: 1000\n", ":1:8: limit"),
        std::pair("limit: [\n", "config_reload_test.yaml:"),
        std::pair("limit: 13\n", "13 brings bad luck")}) {
    Write(text);
    EXPECT_THAT(Reload(/*succeeds=*/false), HasSubstr(problem)) << text;
    EXPECT_EQ(running_.limit, 20) << text;
  }
}

TEST_F(ConfigReloadTest, WhatTheProgramRefusesCountsAsNotRead) {
  Write("limit: 20\n");
  Start();
  Write("limit: 30\n");
  apply_ = absl::FailedPreconditionError("not now");
  EXPECT_THAT(Reload(/*succeeds=*/false), HasSubstr("not now"));
  apply_ = absl::OkStatus();
  EXPECT_THAT(Reload(), HasSubstr("changed=limit"));
  EXPECT_THAT(Reload(), Not(HasSubstr("changed=limit")));
}

TEST_F(ConfigReloadTest, NamesFilesThatWereRenewed) {
  Write("limit: 20\n");
  Start();
  renewed_ = {"keys_file"};
  EXPECT_THAT(Reload(), HasSubstr("changed=keys_file"));
}

TEST_F(ConfigReloadTest, CountsWhatCameOfIt) {
  constexpr char kTime[] = "penstock_config_last_reload_success_timestamp_seconds ";
  Write("limit: 20\n");
  Start();
  EXPECT_THAT(metrics_.Serialize(), HasSubstr(std::string(kTime) + "0\n"));
  Write("limit: x\n");
  Reload(/*succeeds=*/false);
  EXPECT_THAT(metrics_.Serialize(), HasSubstr(std::string(kTime) + "0\n"));
  Write("limit: 30\n");
  Reload();
  Reload();
  const std::string text = metrics_.Serialize();
  EXPECT_THAT(text, HasSubstr("penstock_config_reloads_total{result=\"success\"} 2"));
  EXPECT_THAT(text, HasSubstr("penstock_config_reloads_total{result=\"refused\"} 1"));
  EXPECT_THAT(text, Not(HasSubstr(std::string(kTime) + "0\n")));
}

}  // namespace
}  // namespace penstock::lifecycle
