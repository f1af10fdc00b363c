#include "services/function-manager/domain/function_catalog.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

#include "libs/base/fake_clock.h"
#include "libs/base/status.h"
#include "tests/unit/services/function-manager/fake_function_store.h"
#include "tests/unit/services/function-manager/sample.h"
#include "tests/unit/services/function-manager/store_waits.h"

namespace penstock::functions {
namespace {

using testing::HasSubstr;

class FunctionCatalogTest : public testing::Test {
 protected:
  absl::StatusOr<Mutation> Create(CreateCommand command) {
    return Await<absl::StatusOr<Mutation>>(
        [&](auto done) { catalog_.Create(std::move(command), std::move(done)); });
  }
  absl::StatusOr<Mutation> CreateNamed(const std::string& id, FunctionSpec spec = HttpSpec()) {
    return Create({.parent = "spaces/default",
                   .function_id = id,
                   .input = {std::move(spec), 0},
                   .principal = "alice"});
  }
  absl::StatusOr<Function> Get(const std::string& id) {
    return Await<absl::StatusOr<Function>>(
        [&](auto done) { catalog_.Get("spaces/default/functions/" + id, std::move(done)); });
  }
  absl::StatusOr<Mutation> Update(UpdateCommand command) {
    return Await<absl::StatusOr<Mutation>>(
        [&](auto done) { catalog_.Update(std::move(command), std::move(done)); });
  }
  absl::StatusOr<Mutation> Delete(DeleteCommand command) {
    return Await<absl::StatusOr<Mutation>>(
        [&](auto done) { catalog_.Delete(std::move(command), std::move(done)); });
  }
  absl::StatusOr<ListResult> List(ListCommand command) {
    return Await<absl::StatusOr<ListResult>>(
        [&](auto done) { catalog_.List(std::move(command), std::move(done)); });
  }
  absl::StatusOr<ListResult> ListVersions(ListVersionsCommand command) {
    return Await<absl::StatusOr<ListResult>>(
        [&](auto done) { catalog_.ListVersions(std::move(command), std::move(done)); });
  }

  FakeClock clock_;
  FakeFunctionStore store_;
  SpaceRule spaces_{{}};
  FunctionCatalog catalog_{store_, clock_, spaces_};
};

constexpr char kF[] = "spaces/default/functions/f";

UpdateCommand Describe(const std::string& description) {
  SpecInput input;
  input.spec.description = description;
  input.fields_set = kDescription;
  return {.name = kF, .input = input};
}

TEST_F(FunctionCatalogTest, CreatesAFunctionThatAnExecutorHasYetToStart) {
  const auto made = CreateNamed("f", PythonSpec());
  ASSERT_TRUE(made.ok()) << made.status();
  const Function& function = made->function;
  EXPECT_EQ(function.name.ToString(), kF);
  EXPECT_EQ(function.uid.size(), 36U);
  EXPECT_EQ(function.version, 1);
  EXPECT_EQ(function.creator, "alice");
  EXPECT_EQ(function.create_time, clock_.Wall());
  EXPECT_EQ(function.state, FunctionState::kDeploying);
  EXPECT_EQ(CreateNamed("http", HttpSpec())->function.state, FunctionState::kReady);
  EXPECT_FALSE(function.Etag().empty());
  EXPECT_EQ(made->revision, function.revision);
  EXPECT_EQ(*Get("f"), function);
}

TEST_F(FunctionCatalogTest, NamesTheFieldOfABadCreation) {
  const auto field_of = [](const absl::Status& status) {
    const auto violations = FieldViolationsOf(status);
    return violations.empty() ? std::string() : violations[0].field;
  };
  EXPECT_EQ(field_of(Create({.parent = "default", .function_id = "f"}).status()), "parent");
  EXPECT_EQ(field_of(Create({.parent = "spaces/x", .function_id = "f"}).status()), "parent");
  EXPECT_EQ(field_of(CreateNamed("").status()), "function_id");
  EXPECT_EQ(field_of(CreateNamed("a/b").status()), "function_id");
  EXPECT_EQ(field_of(CreateNamed("f", HttpSpec("x")).status()), "function.http.url");
  EXPECT_EQ(store_.Count(), 0);
}

TEST_F(FunctionCatalogTest, RefusesASecondFunctionOfTheSameName) {
  ASSERT_TRUE(CreateNamed("f").ok());
  const absl::Status status = CreateNamed("f", NoopSpec()).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kAlreadyExists);
  EXPECT_EQ(status.message(), "Function \"spaces/default/functions/f\" already exists");
  EXPECT_EQ(ReasonOf(status), "FUNCTION_EXISTS");
  EXPECT_EQ(Get("f")->spec, HttpSpec());
}

TEST_F(FunctionCatalogTest, ChecksACreationWithoutMakingIt) {
  CreateCommand command{.parent = "spaces/default",
                        .function_id = "f",
                        .input = {HttpSpec(), 0},
                        .is_validate_only = true};
  const auto made = Create(command);
  ASSERT_TRUE(made.ok());
  EXPECT_EQ(made->revision, 0);
  EXPECT_EQ(made->function.uid, "");
  EXPECT_EQ(Get("f").status().code(), absl::StatusCode::kNotFound);
  ASSERT_TRUE(CreateNamed("f").ok());
  EXPECT_EQ(Create(command).status().code(), absl::StatusCode::kAlreadyExists);
}

TEST_F(FunctionCatalogTest, SaysWhatWasNotFound) {
  const absl::Status status = Get("none").status();
  EXPECT_EQ(status.code(), absl::StatusCode::kNotFound);
  EXPECT_EQ(status.message(), "Function \"spaces/default/functions/none\" not found");
  EXPECT_EQ(ReasonOf(status), "FUNCTION_NOT_FOUND");
}

TEST_F(FunctionCatalogTest, MakesAVersionOfEachChange) {
  const Function first = CreateNamed("f")->function;
  clock_.Advance(Microseconds(5));
  const auto changed = Update(Describe("new"));
  ASSERT_TRUE(changed.ok()) << changed.status();
  EXPECT_EQ(changed->function.version, 2);
  EXPECT_EQ(changed->function.uid, first.uid);
  EXPECT_EQ(changed->function.create_time, first.create_time);
  EXPECT_EQ(changed->function.update_time, clock_.Wall());
  EXPECT_EQ(changed->function.spec.driver, first.spec.driver);
  EXPECT_NE(changed->function.Etag(), first.Etag());
  const auto versions = ListVersions({.parent = kF});
  ASSERT_TRUE(versions.ok());
  EXPECT_EQ(versions->functions,
            (std::vector<Function>{AsVersion(changed->function), AsVersion(first)}));
  EXPECT_EQ(*Get("f@1"), AsVersion(first));
  EXPECT_EQ(Get("f@1")->Etag(), "");
  const absl::Status missing = Get("f@3").status();
  EXPECT_EQ(missing.code(), absl::StatusCode::kNotFound);
  EXPECT_EQ(missing.message(),
            "Function \"spaces/default/functions/f\" has no version 3; it has 1, 2");
}

TEST_F(FunctionCatalogTest, MakesNoVersionWhenNothingChanges) {
  const Function first = CreateNamed("f")->function;
  clock_.Advance(Microseconds(5));
  const auto same = Update({.name = kF, .input = {HttpSpec(), kHttp}, .mask = {"*"}});
  ASSERT_TRUE(same.ok());
  EXPECT_EQ(same->function, first);
}

TEST_F(FunctionCatalogTest, ChangesOnlyWithACurrentEtag) {
  const std::string stale = CreateNamed("f")->function.Etag();
  UpdateCommand command = Describe("new");
  command.etag = stale;
  const std::string current = Update(command)->function.Etag();
  command = Describe("newer");
  command.etag = stale;
  const absl::Status status = Update(command).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kAborted);
  EXPECT_THAT(std::string(status.message()), HasSubstr("its etag is \"" + current + "\""));
  EXPECT_EQ(Delete({.name = kF, .etag = stale}).status().code(), absl::StatusCode::kAborted);
  EXPECT_TRUE(Delete({.name = kF, .etag = current}).ok());
}

TEST_F(FunctionCatalogTest, ChecksTheMergedFunction) {
  ASSERT_TRUE(CreateNamed("f", PythonSpec()).ok());
  SpecInput input{HttpSpec(), kHttp};
  ASSERT_TRUE(Update({.name = kF, .input = input, .mask = {"http"}}).ok());
  input = {};
  input.spec.environment = {{"A", "1"}};
  input.fields_set = kEnvironment;
  EXPECT_EQ(FieldViolationsOf(Update({.name = kF, .input = input}).status()).at(0).field,
            "function.environment");
  EXPECT_EQ(
      FieldViolationsOf(Update({.name = kF, .input = input, .mask = {"*"}}).status()).at(0).field,
      "function");
}

TEST_F(FunctionCatalogTest, CreatesOnUpdateOnlyWhenAllowed) {
  UpdateCommand command{.name = kF, .input = {NoopSpec(), kNoop}, .principal = "bob"};
  EXPECT_EQ(Update(command).status().code(), absl::StatusCode::kNotFound);
  command.allow_missing = true;
  command.etag = "stale";
  EXPECT_EQ(Update(command).status().code(), absl::StatusCode::kNotFound);
  command.etag.clear();
  const auto made = Update(command);
  ASSERT_TRUE(made.ok()) << made.status();
  EXPECT_EQ(made->function.version, 1);
  EXPECT_EQ(made->function.creator, "bob");
  EXPECT_EQ(made->function.uid.size(), 36U);
}

TEST_F(FunctionCatalogTest, ChecksAnUpdateWithoutMakingIt) {
  ASSERT_TRUE(CreateNamed("f").ok());
  UpdateCommand command = Describe("new");
  command.is_validate_only = true;
  const auto checked = Update(command);
  ASSERT_TRUE(checked.ok());
  EXPECT_EQ(checked->function.spec.description, "new");
  EXPECT_EQ(checked->revision, 0);
  EXPECT_EQ(Get("f")->spec.description, "");
  command.mask = {"what"};
  EXPECT_EQ(FieldViolationsOf(Update(command).status()).at(0).field, "update_mask");
}

TEST_F(FunctionCatalogTest, DeletesAndSaysSo) {
  ASSERT_TRUE(CreateNamed("f").ok());
  const auto deleted = Delete({.name = kF});
  ASSERT_TRUE(deleted.ok());
  EXPECT_GT(deleted->revision, 0);
  EXPECT_EQ(Delete({.name = kF}).status().code(), absl::StatusCode::kNotFound);
  const auto missing = Delete({.name = kF, .allow_missing = true});
  ASSERT_TRUE(missing.ok());
  EXPECT_EQ(missing->revision, 0);
}

TEST_F(FunctionCatalogTest, GivesANewUidAfterADeletion) {
  const Function first = CreateNamed("f")->function;
  ASSERT_TRUE(Delete({.name = kF}).ok());
  const Function second = CreateNamed("f")->function;
  EXPECT_NE(first.uid, second.uid);
  EXPECT_NE(first.Etag(), second.Etag());
  EXPECT_EQ(ListVersions({.parent = kF})->functions.size(), 1U);
}

TEST_F(FunctionCatalogTest, DoesNotDeleteWhatIsHeld) {
  ASSERT_TRUE(CreateNamed("f").ok());
  for (int i = 1; i <= 7; ++i) {
    ASSERT_TRUE(Write(store_, [i](FunctionWriter& writer) {
                  return writer.AddHold({{"default", "f"},
                                         "",
                                         "spaces/default/subscriptions/s" + std::to_string(i),
                                         "event-broker"});
                }).ok());
    const absl::Status status = Delete({.name = kF}).status();
    EXPECT_EQ(status.code(), absl::StatusCode::kFailedPrecondition);
    EXPECT_EQ(ReasonOf(status), "FUNCTION_IN_USE");
    const std::string message(status.message());
    EXPECT_THAT(message, HasSubstr("is in use by \"spaces/default/subscriptions/s1\""));
    EXPECT_THAT(message, HasSubstr(i == 1 ? "delete it or point it" : "delete them or point them"));
    EXPECT_EQ(message.find("and more") != std::string::npos, i > 5);
  }
}

FunctionSpec Split(std::vector<WeightedTarget> targets) {
  FunctionSpec spec;
  spec.driver = WeightedDriver{std::move(targets)};
  return spec;
}

TEST_F(FunctionCatalogTest, ASplitIsOverFunctionsThatAreThereAndNotSplitThemselves) {
  ASSERT_TRUE(CreateNamed("a").ok());
  EXPECT_EQ(CreateNamed("split", Split({{"a", 95}, {"b", 5}})).status().message(),
            "function.weighted.targets[1].function: \"b\" is no function of the space");
  ASSERT_TRUE(CreateNamed("split", Split({{"a", 95}})).ok());
  EXPECT_THAT(std::string(CreateNamed("twice", Split({{"split", 1}})).status().message()),
              HasSubstr("\"split\" is weighted itself"));
  EXPECT_THAT(std::string(CreateNamed("own", Split({{"own", 1}})).status().message()),
              HasSubstr("is the function itself"));
  ASSERT_TRUE(CreateNamed("b").ok());
  const auto turned = Update({.name = "spaces/default/functions/a",
                              .input = {Split({{"b", 1}}), kWeighted},
                              .mask = {"weighted"}});
  EXPECT_EQ(turned.status().code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_THAT(std::string(turned.status().message()),
              HasSubstr("is a target of \"spaces/default/functions/split@1\""));
}

TEST_F(FunctionCatalogTest, DoesNotDeleteWhatASplitSendsCallsTo) {
  ASSERT_TRUE(CreateNamed("a").ok());
  ASSERT_TRUE(CreateNamed("b").ok());
  ASSERT_TRUE(CreateNamed("split", Split({{"a", 95}, {"b", 5}})).ok());
  const DeleteCommand remove{.name = "spaces/default/functions/b"};
  const absl::Status held = Delete(remove).status();
  EXPECT_EQ(ReasonOf(held), "FUNCTION_IN_USE");
  EXPECT_THAT(std::string(held.message()), HasSubstr("\"spaces/default/functions/split@1\""));
  ASSERT_TRUE(Update({.name = "spaces/default/functions/split",
                      .input = {Split({{"a", 100}}), kWeighted},
                      .mask = {"weighted"}})
                  .ok());
  EXPECT_TRUE(Delete(remove).ok()) << "only an old version names it, which no call reaches";
}

TEST_F(FunctionCatalogTest, ListsInPagesThatFitTheirQuery) {
  for (const char* id : {"c", "a", "b", "d", "e"}) ASSERT_TRUE(CreateNamed(id).ok());
  ListCommand command{.parent = "spaces/default", .page_size = 2};
  std::string ids;
  int pages = 0;
  do {
    const auto page = List(command);
    ASSERT_TRUE(page.ok()) << page.status();
    for (const Function& function : page->functions) ids += function.name.id;
    command.page_token = page->next_page_token;
    ++pages;
  } while (!command.page_token.empty());
  EXPECT_EQ(ids, "abcde");
  EXPECT_EQ(pages, 3);

  command.page_token = List(command)->next_page_token;
  command.metadata = {{"a", "b"}};
  EXPECT_EQ(FieldViolationsOf(List(command).status()).at(0).field, "page_token");
  command = {.parent = "spaces/default", .page_size = -1};
  EXPECT_EQ(FieldViolationsOf(List(command).status()).at(0).field, "page_size");
}

TEST_F(FunctionCatalogTest, ListsWhatTheCallerCreated) {
  ASSERT_TRUE(CreateNamed("f").ok());
  EXPECT_EQ(
      List({.parent = "spaces/default", .creator = "me", .principal = "alice"})->functions.size(),
      1U);
  EXPECT_TRUE(
      List({.parent = "spaces/default", .creator = "me", .principal = "bob"})->functions.empty());
  EXPECT_TRUE(List({.parent = "spaces/default", .creator = "me"})->functions.empty());
}

TEST_F(FunctionCatalogTest, PagesVersions) {
  ASSERT_TRUE(CreateNamed("f").ok());
  for (int i = 2; i <= 5; ++i) ASSERT_TRUE(Update(Describe(std::to_string(i))).ok());
  ListVersionsCommand command{.parent = kF, .page_size = 2};
  std::vector<std::int64_t> versions;
  do {
    const auto page = ListVersions(command);
    ASSERT_TRUE(page.ok()) << page.status();
    for (const Function& version : page->functions) versions.push_back(version.version);
    command.page_token = page->next_page_token;
  } while (!command.page_token.empty());
  EXPECT_EQ(versions, (std::vector<std::int64_t>{5, 4, 3, 2, 1}));
  EXPECT_EQ(ListVersions({.parent = "spaces/default/functions/none"}).status().code(),
            absl::StatusCode::kNotFound);
  EXPECT_EQ(FieldViolationsOf(ListVersions({.parent = kF, .page_token = "5"}).status()).at(0).field,
            "page_token");
}

TEST(FunctionCatalogSpacesTest, KnowsOnlyTheAllowedSpaces) {
  FakeClock clock;
  FakeFunctionStore store;
  const SpaceRule spaces({"shop"});
  FunctionCatalog catalog(store, clock, spaces);
  const auto create = [&](const std::string& parent) {
    return Await<absl::StatusOr<Mutation>>([&](auto done) {
      catalog.Create({.parent = parent, .function_id = "f", .input = {NoopSpec(), 0}},
                     std::move(done));
    });
  };
  EXPECT_TRUE(create("spaces/shop").ok());
  const absl::Status status = create("spaces/default").status();
  EXPECT_EQ(status.code(), absl::StatusCode::kNotFound);
  EXPECT_THAT(std::string(status.message()), HasSubstr("Space \"default\" not found"));
  EXPECT_THAT(std::string(status.message()), HasSubstr("spaces.allowed"));
}

TEST_F(FunctionCatalogTest, PassesOnThatTheStoreIsStopped) {
  store_.Stop();
  EXPECT_EQ(CreateNamed("f").status().code(), absl::StatusCode::kUnavailable);
  EXPECT_EQ(Get("f").status().code(), absl::StatusCode::kUnavailable);
}

}  // namespace
}  // namespace penstock::functions
