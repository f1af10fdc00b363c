#include <archive.h>
#include <archive_entry.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <stdlib.h>
#include <sys/stat.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

#include "libs/archive/pack.h"
#include "libs/archive/unpack.h"

namespace penstock::archive {
namespace {

namespace fs = std::filesystem;
using testing::HasSubstr;

struct TestEntry {
  std::string path;
  std::string data;
  unsigned type = AE_IFREG;
  std::string link{};
  bool is_hardlink = false;
};

class ArchiveTest : public testing::Test {
 protected:
  ArchiveTest() {
    std::string name = (fs::temp_directory_path() / "penstock-archive-XXXXXX").string();
    root_ = ::mkdtemp(name.data());
    fs::create_directories(root_ / "in");
    fs::create_directories(root_ / "out");
  }
  ~ArchiveTest() override { fs::remove_all(root_); }

  void Write(const std::string& path, const std::string& text, mode_t mode = 0644) {
    fs::create_directories((root_ / "in" / path).parent_path());
    std::ofstream(root_ / "in" / path) << text;
    ::chmod((root_ / "in" / path).c_str(), mode);
  }
  std::string Read(const fs::path& path) {
    std::ifstream in(path, std::ios::binary);
    return {std::istreambuf_iterator<char>(in), {}};
  }
  // An archive as its maker likes it.
  std::string Make(const std::vector<TestEntry>& entries, bool gzip = true) {
    const std::string file = (root_ / "made").string();
    struct ::archive* writer = ::archive_write_new();
    if (gzip) ::archive_write_add_filter_gzip(writer);
    ::archive_write_set_format_pax_restricted(writer);
    ::archive_write_open_filename(writer, file.c_str());
    for (const TestEntry& given : entries) {
      struct ::archive_entry* entry = ::archive_entry_new();
      ::archive_entry_set_pathname(entry, given.path.c_str());
      ::archive_entry_set_filetype(entry, given.type);
      ::archive_entry_set_perm(entry, 0644);
      if (given.type == AE_IFLNK) ::archive_entry_set_symlink(entry, given.link.c_str());
      if (given.is_hardlink) ::archive_entry_set_hardlink(entry, given.link.c_str());
      ::archive_entry_set_size(entry, static_cast<la_int64_t>(given.data.size()));
      ::archive_write_header(writer, entry);
      ::archive_write_data(writer, given.data.data(), given.data.size());
      ::archive_entry_free(entry);
    }
    ::archive_write_free(writer);
    return file;
  }
  absl::Status UnpackMade(const std::vector<TestEntry>& entries, const UnpackLimits& limits = {}) {
    return Unpack(Make(entries), (root_ / "out").string(), limits);
  }
  void ExpectRefused(const std::vector<TestEntry>& entries, const std::string& problem) {
    const absl::Status status = UnpackMade(entries);
    EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument) << problem;
    EXPECT_THAT(std::string(status.message()), HasSubstr(problem));
    EXPECT_FALSE(fs::exists(root_ / "escaped"));
  }

  fs::path root_;
};

TEST_F(ArchiveTest, UnpacksWhatItPacked) {
  Write("main.py", "import lib.tools\n");
  Write("lib/tools.py", "x = 1\n");
  Write("bin/run", "#!/bin/sh\n", 0755);
  Write("skipped/a", "no");
  const auto packed = Pack((root_ / "in").string(), (root_ / "packed").string(),
                           [](const std::string& path) { return path == "skipped"; });
  ASSERT_TRUE(packed.ok()) << packed.status();
  EXPECT_EQ(*packed, 3);
  ASSERT_TRUE(Unpack((root_ / "packed").string(), (root_ / "out").string()).ok());
  EXPECT_EQ(Read(root_ / "out/main.py"), "import lib.tools\n");
  EXPECT_EQ(Read(root_ / "out/lib/tools.py"), "x = 1\n");
  struct stat status {};
  ASSERT_EQ(::stat((root_ / "out/bin/run").c_str(), &status), 0);
  EXPECT_EQ(status.st_mode & 0777, 0755U);
  ASSERT_EQ(::stat((root_ / "out/main.py").c_str(), &status), 0);
  EXPECT_EQ(status.st_mode & 0777, 0644U);
  EXPECT_FALSE(fs::exists(root_ / "out/skipped"));
}

TEST_F(ArchiveTest, PacksEqualFilesToEqualBytes) {
  Write("b", "2");
  Write("a", "1");
  ASSERT_TRUE(Pack((root_ / "in").string(), (root_ / "first").string()).ok());
  fs::last_write_time(root_ / "in/a", fs::file_time_type::clock::now() - std::chrono::hours(5));
  ASSERT_TRUE(Pack((root_ / "in").string(), (root_ / "second").string()).ok());
  EXPECT_EQ(Read(root_ / "first"), Read(root_ / "second"));
  Write("a", "3");
  ASSERT_TRUE(Pack((root_ / "in").string(), (root_ / "second").string()).ok());
  EXPECT_NE(Read(root_ / "first"), Read(root_ / "second"));
}

TEST_F(ArchiveTest, DoesNotPackLinks) {
  fs::create_symlink("/etc/passwd", root_ / "in/link");
  const auto packed = Pack((root_ / "in").string(), (root_ / "packed").string());
  EXPECT_EQ(packed.status().code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(std::string(packed.status().message()), HasSubstr("in/link is a link"));
}

TEST_F(ArchiveTest, TakesPlainTarAndPathsWithADot) {
  ASSERT_TRUE(
      Unpack(Make({{"./", "", AE_IFDIR}, {"./a/b", "x"}}, /*gzip=*/false), (root_ / "out").string())
          .ok());
  EXPECT_EQ(Read(root_ / "out/a/b"), "x");
}

TEST_F(ArchiveTest, RefusesWhatLeavesTheFolder) {
  ExpectRefused({{"../escaped", "x"}}, "leaves the archive's folder");
  ExpectRefused({{"a/../../escaped", "x"}}, "leaves the archive's folder");
  ExpectRefused({{(root_ / "escaped").string(), "x"}}, "has an absolute path");
}

TEST_F(ArchiveTest, RefusesLinksAndDevices) {
  ExpectRefused({{"link", "", AE_IFLNK, root_.string()}, {"link/escaped", "x"}}, "is a link");
  ExpectRefused({{"hard", "", AE_IFREG, "/etc/passwd", true}}, "is a link");
  ExpectRefused({{"device", "", AE_IFCHR}}, "is neither a file nor a folder");
  ExpectRefused({{"pipe", "", AE_IFIFO}}, "is neither a file nor a folder");
}

TEST_F(ArchiveTest, RefusesAnEntryThatIsThereTwice) {
  ExpectRefused({{"twice", "x"}, {"twice", "y"}}, "is there twice");
}

TEST_F(ArchiveTest, RefusesAFileThatIsAFolderToo) {
  ExpectRefused({{"both", "x"}, {"both/inner", "y"}}, "is a file and a folder");
}

TEST_F(ArchiveTest, RefusesTooManyFilesAndTooManyBytes) {
  const absl::Status files = UnpackMade({{"a", "1"}, {"b", "2"}, {"c", "3"}}, {.files_max = 2});
  EXPECT_THAT(std::string(files.message()), HasSubstr("more than 2 files"));
  // A bomb: one megabyte of zeros is one kilobyte in the archive.
  const absl::Status bytes =
      UnpackMade({{"bomb", std::string(1 << 20, '\0')}}, {.bytes_max = 1000});
  EXPECT_EQ(bytes.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(std::string(bytes.message()), HasSubstr("more bytes than are allowed"));
  EXPECT_FALSE(fs::exists(root_ / "out/bomb"));
}

TEST_F(ArchiveTest, CountsFoldersThatOnlyPathsName) {
  const absl::Status folders = UnpackMade({{"a/b/c/d", "1"}}, {.files_max = 2});
  EXPECT_EQ(folders.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(std::string(folders.message()), HasSubstr("more than 2 folders"));
  std::string deep;
  for (int i = 0; i < 70; ++i) deep += "d/";
  ExpectRefused({{deep + "file", "1"}}, "is more than 64 folders deep");
}

TEST_F(ArchiveTest, ListsFilesAndWhichMayBeRun) {
  Write("main.py", "1");
  Write("bin/run", "#!/bin/sh\n", 0755);
  ASSERT_TRUE(Pack((root_ / "in").string(), (root_ / "packed").string()).ok());
  const auto files = List((root_ / "packed").string());
  ASSERT_TRUE(files.ok()) << files.status();
  ASSERT_EQ(files->size(), 2U);
  EXPECT_FALSE(files->at("main.py").runs);
  EXPECT_TRUE(files->at("bin/run").runs);
}

TEST_F(ArchiveTest, ListsOnlyWhatUnpacks) {
  const auto problem = [this](const std::vector<TestEntry>& entries) {
    return std::string(List(Make(entries), {.files_max = 2, .bytes_max = 1000}).status().message());
  };
  EXPECT_EQ(problem({{"a", "x"}, {"b", "y"}}), "");
  EXPECT_THAT(problem({{"a", "x"}, {"b", "y"}, {"c", "z"}}), HasSubstr("more than 2 files"));
  EXPECT_THAT(problem({{"a", "x"}, {"a", "y"}}), HasSubstr("is there twice"));
  EXPECT_THAT(problem({{"link", "", AE_IFLNK, "a"}}), HasSubstr("is a link"));
  EXPECT_THAT(problem({{"bomb", std::string(1 << 20, '\0')}}), HasSubstr("more bytes than"));
  EXPECT_THAT(problem({{std::string(256, 'n'), "x"}}), HasSubstr("too long a name"));
  EXPECT_THAT(problem({}), HasSubstr("is empty"));
}

TEST_F(ArchiveTest, UnfoldsGzipOnce) {
  const std::string inner = Make({{"a", "x"}});
  const std::string outer = (root_ / "outer").string();
  const std::string compress = "gzip -c " + inner + " > " + outer;
  ASSERT_EQ(std::system(compress.c_str()), 0);
  const absl::Status status = Unpack(outer, (root_ / "out").string());
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(std::string(status.message()), HasSubstr("is not a tar archive"));
}

TEST_F(ArchiveTest, NamesMayBeInAnyAlphabet) {
  Write("dokumente/straße.txt", "ß");
  Write("データ.json", "{}");
  Write("\xff\xfe", "no text at all");
  const auto packed = Pack((root_ / "in").string(), (root_ / "packed").string());
  ASSERT_TRUE(packed.ok()) << packed.status();
  const absl::Status unpacked = Unpack((root_ / "packed").string(), (root_ / "out").string());
  ASSERT_TRUE(unpacked.ok()) << unpacked;
  EXPECT_EQ(Read(root_ / "out/dokumente/straße.txt"), "ß");
  EXPECT_EQ(Read(root_ / "out/データ.json"), "{}");
  EXPECT_EQ(Read(root_ / "out/\xff\xfe"), "no text at all");
}

TEST_F(ArchiveTest, RefusesWhatIsNoArchive) {
  Write("text", std::string(100'000, 'x'));
  const absl::Status status = Unpack((root_ / "in/text").string(), (root_ / "out").string());
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(std::string(status.message()), HasSubstr("is not a tar archive"));
}

TEST_F(ArchiveTest, RefusesAnArchiveThatIsCutOff) {
  const std::string file = Make({{"a", std::string(200'000, 'x')}}, /*gzip=*/false);
  fs::resize_file(file, 100'000);
  EXPECT_EQ(Unpack(file, (root_ / "out").string()).code(), absl::StatusCode::kInvalidArgument);
}

}  // namespace
}  // namespace penstock::archive
