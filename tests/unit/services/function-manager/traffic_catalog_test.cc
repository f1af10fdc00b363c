#include "services/function-manager/domain/traffic_catalog.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "libs/base/fake_clock.h"
#include "libs/base/status.h"
#include "services/function-manager/domain/reference_keeper.h"
#include "tests/unit/services/function-manager/fake_function_store.h"
#include "tests/unit/services/function-manager/sample.h"
#include "tests/unit/services/function-manager/store_waits.h"

namespace penstock::functions {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

constexpr char kF[] = "spaces/default/functions/f";
constexpr char kProd[] = "spaces/default/functions/f/aliases/prod";
constexpr char kS[] = "spaces/default/subscriptions/s";
constexpr std::size_t kKept = 2;

class TrafficCatalogTest : public testing::Test {
 protected:
  TrafficCatalogTest() {
    (void)Await<absl::StatusOr<Mutation>>([&](auto done) {
      catalog_.Create({.parent = "spaces/default", .function_id = "f", .input = {NoopSpec(), 0}},
                      done);
    });
  }

  // Makes versions until there is `version`.
  void MakeVersions(std::int64_t version) {
    while (Get().version < version) {
      SpecInput input;
      input.spec.description = std::to_string(Get().version);
      input.fields_set = kDescription;
      const auto made = Await<absl::StatusOr<Mutation>>(
          [&](auto done) { catalog_.Update({.name = kF, .input = input}, done); });
      ASSERT_TRUE(made.ok()) << made.status();
    }
  }
  Function Get() {
    return *Await<absl::StatusOr<Function>>([&](auto done) { catalog_.Get(kF, done); });
  }
  std::vector<std::int64_t> Versions() {
    std::vector<std::int64_t> versions;
    (void)Read(store_, [&](FunctionReader& reader) -> absl::Status {
      ASSIGN_OR_RETURN(versions, reader.Versions({"default", "f"}));
      return absl::OkStatus();
    });
    return versions;
  }
  absl::StatusOr<Mutation> SetTraffic(std::vector<TrafficTarget> targets, std::string etag = "") {
    return Await<absl::StatusOr<Mutation>>([&](auto done) {
      traffic_.SetTraffic({.name = kF, .etag = std::move(etag), .targets = std::move(targets)},
                          done);
    });
  }
  absl::StatusOr<Mutation> Rollback(std::int64_t version = 0) {
    return Await<absl::StatusOr<Mutation>>(
        [&](auto done) { traffic_.Rollback({.name = kF, .version = version}, done); });
  }
  absl::StatusOr<NamedAlias> SetAlias(std::int64_t version, const std::string& name = kProd,
                                      const std::string& etag = "") {
    return Await<absl::StatusOr<NamedAlias>>([&](auto done) {
      traffic_.SetAlias({.name = name, .etag = etag, .version = version}, done);
    });
  }
  absl::StatusOr<std::int64_t> DeleteAlias(const std::string& etag = "") {
    return Await<absl::StatusOr<std::int64_t>>(
        [&](auto done) { traffic_.DeleteAlias({.name = kProd, .etag = etag}, done); });
  }
  absl::Status Acquire(const std::string& function) {
    return Await<absl::StatusOr<Acquired>>([&](auto done) {
             keeper_.Acquire({function, kS}, done);
           })
        .status();
  }
  absl::Status Release(const std::string& function) {
    return Await<absl::Status>([&](auto done) { keeper_.Release({function, kS}, done); });
  }
  static std::string FieldOf(const absl::Status& status) {
    const auto violations = FieldViolationsOf(status);
    return violations.empty() ? std::string(status.message()) : violations[0].field;
  }

  FakeClock clock_;
  FakeFunctionStore store_;
  SpaceRule spaces_{{}};
  FunctionCatalog catalog_{store_, clock_, spaces_, kKept};
  TrafficCatalog traffic_{store_, spaces_, kKept};
  ReferenceKeeper keeper_{store_, spaces_};
};

TEST_F(TrafficCatalogTest, SplitsOverVersionsThatExist) {
  MakeVersions(2);
  const Function before = Get();
  const auto split = SetTraffic({{1, 95}, {2, 5}});
  ASSERT_TRUE(split.ok()) << split.status();
  EXPECT_EQ(split->function.traffic, (std::vector<TrafficTarget>{{1, 95}, {2, 5}}));
  EXPECT_EQ(split->function.version, 2) << "no version is made";
  EXPECT_NE(split->function.Etag(), before.Etag());
  EXPECT_GT(split->revision, before.revision);
  EXPECT_EQ(SetTraffic({{1, 95}, {2, 5}})->revision, split->revision) << "nothing changed";

  EXPECT_EQ(FieldOf(SetTraffic({{1, 95}, {2, 4}}).status()), "targets");
  EXPECT_EQ(FieldOf(SetTraffic({{1, 0}, {2, 100}}).status()), "targets[0].percent");
  EXPECT_EQ(FieldOf(SetTraffic({{1, 50}, {1, 50}}).status()), "targets[1].version");
  const absl::Status unknown = SetTraffic({{1, 50}, {7, 50}}).status();
  EXPECT_EQ(FieldOf(unknown), "targets[1].version");
  EXPECT_THAT(std::string(unknown.message()), HasSubstr("has no version 7; it has 1, 2"));
  EXPECT_EQ(SetTraffic({}, before.Etag()).status().code(), absl::StatusCode::kAborted);
  EXPECT_TRUE(SetTraffic({}, split->function.Etag()).ok());
  EXPECT_TRUE(Get().traffic.empty());
}

TEST_F(TrafficCatalogTest, AnUpdateLeavesASplitAsItIs) {
  MakeVersions(2);
  ASSERT_TRUE(SetTraffic({{1, 100}}).ok());
  MakeVersions(3);
  EXPECT_EQ(Get().traffic, (std::vector<TrafficTarget>{{1, 100}}));
}

TEST_F(TrafficCatalogTest, RollsBackToTheVersionBeforeOrANamedOne) {
  EXPECT_EQ(Rollback().status().code(), absl::StatusCode::kFailedPrecondition);
  MakeVersions(3);
  EXPECT_EQ(Rollback()->function.traffic, (std::vector<TrafficTarget>{{2, 100}}));
  EXPECT_EQ(Rollback()->function.traffic, (std::vector<TrafficTarget>{{1, 100}}));
  EXPECT_EQ(Rollback().status().code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_EQ(Rollback(3)->function.traffic, (std::vector<TrafficTarget>{{3, 100}}));
  EXPECT_EQ(FieldOf(Rollback(9).status()), "version");
  // From a canary: to what is before the canary.
  ASSERT_TRUE(SetTraffic({{2, 95}, {3, 5}}).ok());
  EXPECT_EQ(Rollback()->function.traffic, (std::vector<TrafficTarget>{{2, 100}}));
}

TEST_F(TrafficCatalogTest, ForgetsVersionsThatNothingNames) {
  MakeVersions(4);
  EXPECT_THAT(Versions(), ElementsAre(2, 3, 4)) << "the newest and two before it";
  ASSERT_TRUE(SetTraffic({{2, 100}}).ok());
  ASSERT_TRUE(SetAlias(3).ok());
  ASSERT_TRUE(Acquire(std::string(kF) + "@4").ok());
  MakeVersions(8);
  EXPECT_THAT(Versions(), ElementsAre(2, 3, 4, 6, 7, 8));
  ASSERT_TRUE(SetTraffic({}).ok());
  EXPECT_THAT(Versions(), ElementsAre(3, 4, 6, 7, 8));
  ASSERT_TRUE(DeleteAlias().ok());
  EXPECT_THAT(Versions(), ElementsAre(4, 6, 7, 8));
  ASSERT_TRUE(Release(std::string(kF) + "@4").ok());
  MakeVersions(9);
  EXPECT_THAT(Versions(), ElementsAre(7, 8, 9));
}

TEST_F(TrafficCatalogTest, MovesAliases) {
  MakeVersions(2);
  const auto made = SetAlias(1);
  ASSERT_TRUE(made.ok()) << made.status();
  EXPECT_EQ(made->name, kProd);
  const auto moved = SetAlias(2, kProd, made->etag);
  ASSERT_TRUE(moved.ok()) << moved.status();
  EXPECT_EQ(Get().aliases.at("prod").version, 2);
  EXPECT_EQ(SetAlias(1, kProd, made->etag).status().code(), absl::StatusCode::kAborted);
  EXPECT_NE(SetAlias(1)->etag, made->etag) << "there and back is a change too";
  EXPECT_EQ(FieldOf(SetAlias(7).status()), "alias.version");
  EXPECT_EQ(FieldOf(SetAlias(1, std::string(kF) + "/aliases/12").status()), "alias.name");
  EXPECT_EQ(FieldOf(SetAlias(1, kF).status()), "alias.name");
  EXPECT_EQ(SetAlias(1, std::string(kF) + "/aliases/new", "stale").status().code(),
            absl::StatusCode::kNotFound);
  EXPECT_EQ(Await<absl::StatusOr<Function>>([&](auto done) {
              catalog_.Get(std::string(kF) + "@prod", done);
            })->version,
            1);
}

TEST_F(TrafficCatalogTest, AnAliasInUseStays) {
  ASSERT_TRUE(SetAlias(1).ok());
  const std::string tagged = std::string(kF) + "@prod";
  const absl::Status unknown = Acquire(std::string(kF) + "@beta");
  EXPECT_EQ(unknown.code(), absl::StatusCode::kNotFound);
  EXPECT_THAT(std::string(unknown.message()), HasSubstr("no alias \"beta\"; it has prod"));
  ASSERT_TRUE(Acquire(tagged).ok());
  const absl::Status refused = DeleteAlias().status();
  EXPECT_EQ(refused.code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_THAT(std::string(refused.message()), HasSubstr(kS));
  ASSERT_TRUE(Release(tagged).ok());
  EXPECT_EQ(DeleteAlias("stale").status().code(), absl::StatusCode::kAborted);
  ASSERT_TRUE(DeleteAlias().ok());
  EXPECT_EQ(DeleteAlias().status().code(), absl::StatusCode::kNotFound);
}

TEST_F(TrafficCatalogTest, ListsAliasesInPages) {
  for (const char* alias : {"c", "a", "b"}) {
    ASSERT_TRUE(SetAlias(1, std::string(kF) + "/aliases/" + alias).ok());
  }
  ListAliasesCommand command{.parent = kF, .page_size = 2};
  std::string names;
  do {
    const auto page =
        Await<absl::StatusOr<AliasPage>>([&](auto done) { traffic_.ListAliases(command, done); });
    ASSERT_TRUE(page.ok()) << page.status();
    for (const NamedAlias& alias : page->aliases) names += alias.name.back();
    command.page_token = page->next_page_token;
  } while (!command.page_token.empty());
  EXPECT_EQ(names, "abc");
}

}  // namespace
}  // namespace penstock::functions
