// Watches over the wire.
#include <gtest/gtest.h>

#include <chrono>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "libs/base/status.h"
#include "tests/contract/function-manager/fixture.h"

namespace penstock::functions {
namespace {

// One watch, and what it has told so far.
class Watch {
 public:
  Watch(pbi::FunctionRegistryService::Stub& stub,
        const std::function<void(grpc::ClientContext&)>& prepare, std::int64_t from_revision)
      : context_(NewContext()) {
    prepare(*context_);
    pbi::WatchFunctionsRequest request;
    request.set_from_revision(from_revision);
    reader_ = stub.WatchFunctions(context_.get(), request);
  }
  ~Watch() {
    if (is_finished_) return;
    context_->TryCancel();
    reader_->Finish();
  }
  Watch(const Watch&) = delete;
  Watch& operator=(const Watch&) = delete;

  // Reads one message and applies it; false at the end of the stream.
  bool Next() {
    last = {};
    if (!reader_->Read(&last)) return false;
    ++messages;
    if (last.snapshot_begin()) {
      ++snapshots;
      known.clear();
    }
    for (const pbi::FunctionChange& change : last.changes()) {
      EXPECT_FALSE(change.function().uid().empty());
      if (change.deleted()) {
        EXPECT_FALSE(change.function().has_http());
        known.erase(change.function().name());
      } else {
        EXPECT_EQ(change.function().state(),
                  change.function().has_process() ? pb::Function::DEPLOYING : pb::Function::READY);
        known[change.function().name()] = change.function().version();
      }
    }
    if (last.revision() != 0) revision = last.revision();
    return true;
  }

  // Reads until everything up to `wanted` is known.
  void Until(std::int64_t wanted) {
    while (revision < wanted) {
      ASSERT_TRUE(Next()) << "the watch ended before revision " << wanted;
    }
  }

  // The status of the ended stream; once.
  absl::Status Finish() {
    is_finished_ = true;
    return rpc::FromGrpcStatus(reader_->Finish());
  }

  pbi::WatchFunctionsResponse last;
  std::map<std::string, std::int64_t> known;
  std::int64_t revision = 0;
  int snapshots = 0;
  int messages = 0;

 private:
  bool is_finished_ = false;
  std::unique_ptr<grpc::ClientContext> context_;
  std::unique_ptr<grpc::ClientReader<pbi::WatchFunctionsResponse>> reader_;
};

std::int64_t RevisionOf(const std::string& text) {
  const std::string prefix = "function-manager:";
  EXPECT_EQ(text.substr(0, prefix.size()), prefix);
  return std::stoll(text.substr(prefix.size()));
}

using Known = std::map<std::string, std::int64_t>;

TEST_P(FunctionManagerTest, WatchGivesASnapshotThenChangesThenResumes) {
  ASSERT_TRUE(Create("a").ok());
  ASSERT_TRUE(Create("b").ok());
  std::int64_t resume_from = 0;
  {
    Watch watch(*registry_, AsPeer(), 0);
    ASSERT_TRUE(watch.Next());
    EXPECT_TRUE(watch.last.snapshot_begin());
    EXPECT_TRUE(watch.last.snapshot_end());
    EXPECT_EQ(watch.known, (Known{{NameOf("a"), 1}, {NameOf("b"), 1}}));
    std::string revision;
    ASSERT_TRUE(Create("c", Http(), &revision).ok());
    watch.Until(RevisionOf(revision));
    EXPECT_EQ(watch.known.size(), 3U);
    EXPECT_EQ(watch.snapshots, 1);
    resume_from = watch.revision;
  }
  std::string revision;
  ASSERT_TRUE(Delete("a").ok());
  pb::UpdateFunctionRequest update;
  *update.mutable_function() = Http("http://h/2");
  update.mutable_function()->set_name(NameOf("b"));
  ASSERT_TRUE(Update(update, &revision).ok());

  Watch watch(*registry_, AsPeer(), resume_from);
  watch.known = {{NameOf("a"), 1}, {NameOf("b"), 1}, {NameOf("c"), 1}};
  watch.Until(RevisionOf(revision));
  EXPECT_EQ(watch.snapshots, 0);
  EXPECT_EQ(watch.known, (Known{{NameOf("b"), 2}, {NameOf("c"), 1}}));
}

TEST_P(FunctionManagerTest, WatchResumesOverARestart) {
  std::string revision;
  ASSERT_TRUE(Create("a", Http(), &revision).ok());
  const std::int64_t before = RevisionOf(revision);
  Restart();
  EXPECT_TRUE(Get("a").ok());
  ASSERT_TRUE(Create("b", Http(), &revision).ok());
  EXPECT_EQ(RevisionOf(revision), before + 1);
  Watch watch(*registry_, AsPeer(), before);
  watch.Until(before + 1);
  EXPECT_EQ(watch.snapshots, 0);
  EXPECT_EQ(watch.known, (Known{{NameOf("b"), 1}}));
}

TEST_P(FunctionManagerTest, WatchGivesASnapshotToWhoKnowsAnotherStore) {
  ASSERT_TRUE(Create("a").ok());
  Watch watch(*registry_, AsPeer(), 17);
  ASSERT_TRUE(watch.Next());
  EXPECT_EQ(watch.snapshots, 1);
  EXPECT_EQ(watch.known.size(), 1U);
}

TEST_P(FunctionManagerTest, WatchWaitsForASlowReaderWithoutLosingAnything) {
  Watch watch(*registry_, AsPeer(), 0);
  ASSERT_TRUE(watch.Next());
  const std::string source(512 << 10, '#');
  std::string revision;
  Known expected;
  for (int i = 0; i < 40; ++i) {
    const std::string id = "f" + std::to_string(i);
    ASSERT_TRUE(Create(id, Python(source), &revision).ok());
    if (i % 4 == 0) {
      ASSERT_TRUE(Delete(id, "", &revision).ok());
    } else {
      expected[NameOf(id)] = 1;
    }
  }
  watch.Until(RevisionOf(revision));
  EXPECT_EQ(watch.known, expected);
  EXPECT_EQ(watch.snapshots, 1);
}

TEST_P(FunctionManagerTest, WatchEndsWithUnavailableWhenTheServiceStops) {
  Watch watch(*registry_, AsPeer(), 0);
  ASSERT_TRUE(watch.Next());
  const auto started = std::chrono::steady_clock::now();
  EXPECT_TRUE(app_->Stop(std::chrono::seconds(8)).ok());
  EXPECT_LT(std::chrono::steady_clock::now() - started, std::chrono::seconds(3));
  EXPECT_FALSE(watch.Next());
  EXPECT_EQ(watch.Finish().code(), absl::StatusCode::kUnavailable);
}

}  // namespace
}  // namespace penstock::functions
