#include "libs/lifecycle/instance_id.h"

#include <stdlib.h>

#include <filesystem>
#include <fstream>
#include <string>

#include "gtest/gtest.h"

namespace penstock::lifecycle {
namespace {

TEST(InstanceIdTest, StaysWithTheFolder) {
  std::string folder = testing::TempDir() + "penstock_instance_XXXXXX";
  ASSERT_NE(mkdtemp(folder.data()), nullptr);
  const auto first = LoadInstanceId(folder);
  ASSERT_TRUE(first.ok()) << first.status();
  EXPECT_EQ(first->size(), 8U);
  EXPECT_EQ(*LoadInstanceId(folder), *first);
  std::ofstream(folder + "/instance") << "../../etc";
  EXPECT_EQ(LoadInstanceId(folder).status().code(), absl::StatusCode::kFailedPrecondition);
  std::filesystem::remove_all(folder);
}

}  // namespace
}  // namespace penstock::lifecycle
