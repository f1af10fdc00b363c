// Functions whose source is fetched by digest: one file, or a folder as archive.
#include <gmock/gmock.h>
#include <sys/stat.h>

#include <atomic>
#include <fstream>
#include <map>
#include <mutex>
#include <set>
#include <vector>

#include "fmt/format.h"
#include "libs/archive/pack.h"
#include "tests/unit/services/function-executor/drivers_process/process_fixture.h"

namespace penstock::executor {
namespace {

namespace fs = std::filesystem;
using testing::HasSubstr;

class FakeFetcher final : public SourceFetcher {
 public:
  std::string Add(const std::string& bytes) {
    const std::lock_guard lock(mutex_);
    const std::string digest = Sha256Hex(bytes);
    sources_[digest] = bytes;
    return digest;
  }
  void Replace(const std::string& digest, const std::string& bytes) {
    const std::lock_guard lock(mutex_);
    sources_[digest] = bytes;
  }
  absl::Status Fetch(const std::string&, const std::string& digest,
                     const OnBytes& on_bytes) override {
    ++fetches_;
    std::string bytes;
    {
      const std::lock_guard lock(mutex_);
      const auto found = sources_.find(digest);
      if (found == sources_.end()) return absl::NotFoundError("there is no such source");
      bytes = found->second;
    }
    for (std::size_t at = 0; at < bytes.size(); at += 1000) {
      if (const absl::Status taken = on_bytes(std::string_view(bytes).substr(at, 1000));
          !taken.ok()) {
        return taken;
      }
    }
    return absl::OkStatus();
  }
  void Stop() override {}
  int fetches() const { return fetches_; }

 private:
  std::mutex mutex_;
  std::map<std::string, std::string> sources_;
  std::atomic<int> fetches_{0};
};

class ProcessDriverSourcesTest : public ProcessDriverFixture {
 protected:
  ProcessDriverSourcesTest() { options_.sources = &fetcher_; }
  ~ProcessDriverSourcesTest() override { driver_.reset(); }  // Before what it uses.

  void Write(const std::string& path, const std::string& text, mode_t mode = 0644) {
    const fs::path file = fs::path(folder_.path()) / "in" / path;
    fs::create_directories(file.parent_path());
    std::ofstream(file) << text;
    ::chmod(file.c_str(), mode);
  }
  // The digest of the files written, as an archive.
  std::string Packed() {
    const std::string file = folder_.path() + "/packed";
    EXPECT_TRUE(archive::Pack(folder_.path() + "/in", file).ok());
    std::ifstream in(file, std::ios::binary);
    return fetcher_.Add({std::istreambuf_iterator<char>(in), {}});
  }
  static Spec Archive(const std::string& runtime, const std::string& digest,
                      const std::string& entry) {
    Spec function = Function(runtime, "");
    TargetOf(function).source_digest = digest;
    TargetOf(function).entry = entry;
    return function;
  }
  std::set<std::string> Cached() const {
    std::set<std::string> names;
    std::error_code error;
    for (const auto& entry : fs::directory_iterator(WorkFolder() + "/.sources", error)) {
      names.insert(entry.path().filename().string());
    }
    return names;
  }

  FakeFetcher fetcher_;
};

TEST_F(ProcessDriverSourcesTest, PythonImportsTheModulesOfItsFolder) {
  Write("src/main.py",
        "import helper\nfrom shared.names import NAME\n"
        "def handle(ctx, p): return [helper.twice(p), NAME, open('data.txt').read()]\n");
  Write("src/helper.py", "def twice(x): return 2 * x\n");
  Write("shared/names.py", "NAME = 'shop'\n");
  Write("data.txt", "rows");
  const Spec function = Archive("python3", Packed(), "src/main.py");
  const Outcome outcome = Call(function, "21");
  EXPECT_EQ(MessageOf(outcome), "");
  EXPECT_EQ(*outcome.payload, R"([42,"shop","rows"])");
}

TEST_F(ProcessDriverSourcesTest, NodeRequiresTheModulesOfItsFolder) {
  Write("index.js",
        "const t = require('./lib/tools');\nexports.handle = (ctx, p) => t.twice(p);\n");
  Write("lib/tools.js", "exports.twice = (x) => 2 * x;\n");
  const Outcome outcome = Call(Archive("node", Packed(), "index.js"), "21");
  EXPECT_EQ(MessageOf(outcome), "");
  EXPECT_EQ(*outcome.payload, "42");
}

TEST_F(ProcessDriverSourcesTest, ExecRunsAProgramOfItsFolder) {
  Write("bin/run", "#!/bin/sh\n. ./lib.sh\nwhile read -r line; do answer; done\n", 0755);
  Write("lib.sh", "answer() { echo '{\"payload\":\"from a library\"}'; }\n");
  const std::string digest = Packed();
  const Outcome outcome = Call(Archive("exec", digest, "bin/run"), "1");
  EXPECT_EQ(MessageOf(outcome), "");
  EXPECT_EQ(*outcome.payload, R"("from a library")");

  const Spec by_command = Archive("exec", digest, "");
  TargetOf(by_command).command = {"/bin/sh", "bin/run"};
  EXPECT_EQ(*Call(by_command, "1").payload, R"("from a library")");
}

TEST_F(ProcessDriverSourcesTest, OneFileIsTheProgramText) {
  const Spec function = Archive(
      "python3", fetcher_.Add("def handle(ctx, p): return p\n#" + std::string(900'000, 'x')), "");
  EXPECT_EQ(*Call(function, "7").payload, "7");
}

TEST_F(ProcessDriverSourcesTest, FetchesOnceForAllWorkersAndVersions) {
  Write("main.py", "def handle(ctx, p): return p\n");
  const std::string digest = Packed();
  const Spec first = Archive("python3", digest, "main.py");
  std::vector<Started> calls;
  for (int i = 0; i < 4; ++i) calls.push_back(Start(Invoke(first, "1")));
  for (Started& call : calls) EXPECT_EQ(MessageOf(call.outcome.get()), "");
  EXPECT_EQ(*Call(Archive("python3", digest, "main.py"), "1").payload, "1");
  EXPECT_EQ(fetcher_.fetches(), 1);
}

TEST_F(ProcessDriverSourcesTest, RemovesASourceOnceNoPoolUsesItAndRoomIsShort) {
  options_.unused_source_bytes_max = 0;
  Write("main.py", "def handle(ctx, p): return p\n");
  const std::string digest = Packed();
  const Spec first = Archive("python3", digest, "main.py");
  const Spec other = Archive("python3", digest, "main.py");
  ASSERT_EQ(*Call(first, "1").payload, "1");
  ASSERT_EQ(*Call(other, "1").payload, "1");
  driver().Forget(first->uid, 2);
  ASSERT_TRUE(Eventually([this] { return driver().workers() == 1; }));
  EXPECT_EQ(Cached(), std::set<std::string>{digest + ".folder"});
  driver().Forget(other->uid, 2);
  EXPECT_TRUE(Eventually([this] { return Cached().empty(); }));
}

TEST_F(ProcessDriverSourcesTest, OfUnusedSourcesTheOldestGoes) {
  const std::string padding = "#" + std::string(10'000, 'x');
  options_.unused_source_bytes_max = 25'000;
  std::vector<std::string> digests;
  for (int i = 0; i < 3; ++i) {
    digests.push_back(fetcher_.Add(fmt::format("def handle(ctx, p): return {}\n{}", i, padding)) +
                      ".file");
    const Spec function = Archive("python3", digests.back().substr(0, 64), "");
    ASSERT_EQ(*Call(function, "1").payload, std::to_string(i));
    driver().Forget(function->uid, 2);
    ASSERT_TRUE(Eventually([this] { return driver().workers() == 0; }));
  }
  const std::set<std::string> youngest(digests.begin() + 1, digests.end());
  EXPECT_TRUE(Eventually([&] { return Cached() == youngest; }));
  // The one used last is not fetched again.
  EXPECT_EQ(*Call(Archive("python3", digests[2].substr(0, 64), ""), "1").payload, "2");
  EXPECT_EQ(fetcher_.fetches(), 3);
}

TEST_F(ProcessDriverSourcesTest, DoesNotRunASourceWithAnotherDigest) {
  const std::string digest = fetcher_.Add("def handle(ctx, p): return p\n");
  fetcher_.Replace(digest, "def handle(ctx, p): return 'evil'\n");
  const Outcome outcome = Call(Archive("python3", digest, ""), "1");
  EXPECT_EQ(TypeOf(outcome), "StartFailed");
  EXPECT_EQ(outcome.error->category, ErrorCategory::kSystem);
  EXPECT_THAT(MessageOf(outcome), HasSubstr("has another"));
  EXPECT_TRUE(Cached().empty());
}

TEST_F(ProcessDriverSourcesTest, SaysWhatIsWrongWithASource) {
  const Outcome missing = Call(Archive("python3", std::string(64, 'a'), ""), "1");
  EXPECT_EQ(missing.error->category, ErrorCategory::kSystem);
  EXPECT_THAT(MessageOf(missing), HasSubstr("cannot be fetched: there is no such source"));

  const Outcome no_archive = Call(Archive("python3", fetcher_.Add("text"), "main.py"), "1");
  EXPECT_EQ(no_archive.error->category, ErrorCategory::kFunction);
  EXPECT_THAT(MessageOf(no_archive), HasSubstr("is not a tar archive"));

  Write("main.py", "def handle(ctx, p): return p\n");
  const std::string digest = Packed();
  EXPECT_THAT(MessageOf(Call(Archive("python3", digest, "other.py"), "1")),
              HasSubstr("there is no file \"other.py\" in the archive"));
  EXPECT_THAT(MessageOf(Call(Archive("exec", digest, "main.py"), "1")),
              HasSubstr("may not be run"));
}

}  // namespace
}  // namespace penstock::executor
