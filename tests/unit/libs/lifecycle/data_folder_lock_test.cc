#include "libs/lifecycle/data_folder_lock.h"

#include <signal.h>
#include <stdlib.h>
#include <sys/stat.h>

#include <filesystem>
#include <fstream>
#include <string>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/unit/libs/lifecycle/child.h"

namespace penstock::lifecycle {
namespace {

using testing::HasSubstr;

class DataFolderLockTest : public testing::Test {
 protected:
  DataFolderLockTest() {
    std::string pattern = testing::TempDir() + "penstock_lock_XXXXXX";
    root_ = mkdtemp(pattern.data());
  }
  ~DataFolderLockTest() override { std::filesystem::remove_all(root_); }

  std::string root_;
};

TEST_F(DataFolderLockTest, CreatesThePathForItsOwnerAlone) {
  const std::string folder = root_ + "/a/b/";
  ASSERT_TRUE(DataFolderLock::Acquire(folder, "test").ok());
  struct stat info {};
  ASSERT_EQ(stat(folder.c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 0777u, 0700u);
}

TEST_F(DataFolderLockTest, ASecondHolderIsRefusedByNameUntilTheFirstIsGone) {
  {
    const auto first = DataFolderLock::Acquire(root_, "penstock-event-broker");
    ASSERT_TRUE(first.ok());
    const absl::Status second = DataFolderLock::Acquire(root_, "other").status();
    EXPECT_EQ(second.code(), absl::StatusCode::kFailedPrecondition);
    EXPECT_THAT(std::string(second.message()), HasSubstr(root_));
    EXPECT_THAT(std::string(second.message()),
                HasSubstr("penstock-event-broker (process " + std::to_string(getpid()) + ")"));
  }
  EXPECT_TRUE(DataFolderLock::Acquire(root_, "other").ok());
}

TEST_F(DataFolderLockTest, TellsTheHolderWithoutTouchingAnything) {
  EXPECT_EQ(DataFolderHolder(root_).value(), "");
  EXPECT_EQ(DataFolderHolder(root_ + "/missing").value(), "");
  EXPECT_FALSE(std::filesystem::exists(root_ + "/LOCK"));
  const auto lock = DataFolderLock::Acquire(root_, "penstock-event-broker");
  EXPECT_THAT(DataFolderHolder(root_).value(), HasSubstr("penstock-event-broker (process "));
}

TEST_F(DataFolderLockTest, AKilledHolderLeavesNoLockBehind) {
  Child child({"lock", root_});
  ASSERT_EQ(child.ReadLine(), "locked");
  EXPECT_THAT(std::string(DataFolderLock::Acquire(root_, "test").status().message()),
              HasSubstr("lock-holder (process " + std::to_string(child.pid()) + ")"));
  child.Signal(SIGKILL);
  EXPECT_EQ(child.WaitForExit(), -SIGKILL);
  EXPECT_TRUE(DataFolderLock::Acquire(root_, "test").ok());
}

TEST_F(DataFolderLockTest, MovingKeepsTheLock) {
  auto first = DataFolderLock::Acquire(root_, "test");
  ASSERT_TRUE(first.ok());
  {
    const DataFolderLock moved = *std::move(first);
    EXPECT_FALSE(DataFolderLock::Acquire(root_, "test").ok());
  }
  EXPECT_TRUE(DataFolderLock::Acquire(root_, "test").ok());
}

TEST_F(DataFolderLockTest, NamesThePathThatCannotBeUsed) {
  std::ofstream(root_ + "/file") << "x";
  for (const std::string& folder : {root_ + "/file", root_ + "/file/sub"}) {
    const absl::Status status = DataFolderLock::Acquire(folder, "test").status();
    EXPECT_THAT(std::string(status.message()), HasSubstr(root_ + "/file")) << folder;
  }
  EXPECT_EQ(DataFolderLock::Acquire("", "test").status().code(),
            absl::StatusCode::kInvalidArgument);
}

}  // namespace
}  // namespace penstock::lifecycle
