// The settings, and the program.
#include "services/function-executor/app/config.h"

#include <sys/wait.h>

#include <array>
#include <cstdio>
#include <string>

#include "gtest/gtest.h"
#include "libs/base/status.h"

namespace penstock::executor {
namespace {

std::string FieldOf(const Config& config) {
  const auto violations = FieldViolationsOf(config.Validate());
  return violations.empty() ? "" : violations[0].field;
}

TEST(ExecutorConfigTest, TheDefaultsAreValid) {
  const Config config;
  EXPECT_TRUE(config.Validate().ok()) << config.Validate();
}

TEST(ExecutorConfigTest, NamesTheKeyThatIsWrong) {
  Config config;
  config.grpc_listen = "9040";
  EXPECT_EQ(FieldOf(config), "grpc.listen");
  config = Config();
  config.data_dir = "";
  EXPECT_EQ(FieldOf(config), "data_dir");
  config = Config();
  config.function_manager_address = "";
  EXPECT_EQ(FieldOf(config), "function_manager.address");
  config = Config();
  config.egress_allow = {"10.0.0.0/99"};
  EXPECT_TRUE(FieldOf(config).starts_with("egress.allow")) << FieldOf(config);
  config = Config();
  config.egress_denied_ports = {"http"};
  EXPECT_EQ(FieldOf(config), "egress.denied_ports");
  config = Config();
  config.cluster_peers = "executors";
  EXPECT_EQ(FieldOf(config), "cluster.peers");
}

// The exit code of the program, and what it writes.
std::pair<int, std::string> RunProgram(const std::string& arguments) {
  const std::string command = std::string(PENSTOCK_FUNCTION_EXECUTOR) + " " + arguments + " 2>&1";
  FILE* pipe = ::popen(command.c_str(), "r");
  std::string output;
  std::array<char, 4096> buffer{};
  while (const std::size_t size = std::fread(buffer.data(), 1, buffer.size(), pipe)) {
    output.append(buffer.data(), size);
  }
  return {WEXITSTATUS(::pclose(pipe)), output};
}

TEST(ExecutorProgramTest, ChecksItsConfiguration) {
  EXPECT_EQ(RunProgram("--check-config").first, 0);
  const auto [code, output] = RunProgram("--check-config --deliveries.credit=0 --nothing.here=1");
  EXPECT_EQ(code, 2);
  EXPECT_NE(output.find("deliveries.credit"), std::string::npos) << output;
  EXPECT_NE(output.find("nothing.here"), std::string::npos) << output;
}

}  // namespace
}  // namespace penstock::executor
