// Functions over the wire.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "libs/base/status.h"
#include "libs/rpc/metadata.h"
#include "tests/contract/function-manager/fixture.h"

namespace penstock::functions {
namespace {

using testing::HasSubstr;
using testing::StartsWith;
using Manager = pb::FunctionManagerService::Stub;

std::string FieldOf(const absl::Status& status) {
  const auto violations = FieldViolationsOf(status);
  return violations.empty() ? "" : violations[0].field;
}

TEST_P(FunctionManagerTest, CreatesAndReadsAFunctionWithItsDefaults) {
  pb::Function function = Python();
  function.set_description("greets");
  (*function.mutable_metadata())["team"] = "a";
  (*function.mutable_environment())["LANG"] = "C";
  // Output only: ignored.
  function.set_uid("mine");
  function.set_version(7);
  function.set_state(pb::Function::FAILED);
  function.set_creator("mallory");
  std::string revision;
  const auto made = Create("greet", function, &revision);
  ASSERT_TRUE(made.ok()) << made.status();
  EXPECT_EQ(made->name(), "spaces/default/functions/greet");
  EXPECT_EQ(made->state(), pb::Function::DEPLOYING);
  EXPECT_EQ(made->version(), 1);
  EXPECT_EQ(made->uid().size(), 36U);
  EXPECT_FALSE(made->etag().empty());
  EXPECT_EQ(made->creator(), "");
  EXPECT_GT(made->create_time().seconds(), 1'700'000'000);
  EXPECT_EQ(made->timeout().seconds(), 30);
  EXPECT_EQ(made->process().handler(), "handle");
  EXPECT_EQ(made->process().max_workers(), 4);
  EXPECT_EQ(made->process().idle_timeout().seconds(), 300);
  EXPECT_EQ(made->process().max_memory_bytes(), 512 << 20);
  EXPECT_EQ(made->process().max_output_bytes(), 1 << 20);
  EXPECT_THAT(revision, StartsWith("function-manager:"));
  EXPECT_EQ(Get("greet")->SerializeAsString(), made->SerializeAsString());
}

TEST_P(FunctionManagerTest, NamesTheFieldOfBadInput) {
  pb::Function ruby = Python();
  ruby.mutable_process()->set_runtime("ruby");
  const absl::Status status = Create("f", ruby).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(status.message(),
            "function.process.runtime: \"ruby\" is not a runtime: expected python3, node or exec");
  EXPECT_EQ(FieldOf(status), "function.process.runtime");
  EXPECT_EQ(FieldOf(Create("f", Http("x")).status()), "function.http.url");
  EXPECT_EQ(FieldOf(Create("f", pb::Function()).status()), "function");
  EXPECT_EQ(FieldOf(Create("a b").status()), "function_id");
  pb::Function timeout = Http();
  timeout.mutable_timeout()->set_seconds(std::numeric_limits<std::int64_t>::max());
  EXPECT_EQ(FieldOf(Create("f", timeout).status()), "function.timeout");
  timeout.mutable_timeout()->set_seconds(0);
  timeout.mutable_timeout()->set_nanos(999'999);
  EXPECT_EQ(FieldOf(Create("f", timeout).status()), "function.timeout");
  EXPECT_EQ(
      FieldOf(Call(*manager_, &Manager::CreateFunction, pb::CreateFunctionRequest()).status()),
      "parent");
  EXPECT_EQ(
      FieldOf(Call(*manager_, &Manager::UpdateFunction, pb::UpdateFunctionRequest()).status()),
      "function.name");
  EXPECT_EQ(Get("f").status().code(), absl::StatusCode::kNotFound);
}

TEST_P(FunctionManagerTest, UpdatesByMaskAndEtag) {
  const auto made = Create("f");
  ASSERT_TRUE(made.ok());
  pb::UpdateFunctionRequest request;
  *request.mutable_function() = *made;
  request.mutable_function()->set_description("new");
  request.mutable_function()->mutable_http()->set_url("http://elsewhere/");
  request.mutable_update_mask()->add_paths("description");
  std::string revision;
  const auto changed = Update(request, &revision);
  ASSERT_TRUE(changed.ok()) << changed.status();
  EXPECT_EQ(changed->description(), "new");
  EXPECT_EQ(changed->http().url(), made->http().url());
  EXPECT_EQ(changed->version(), 2);
  EXPECT_THAT(revision, StartsWith("function-manager:"));

  absl::Status status = Update(request).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kAborted);
  EXPECT_THAT(std::string(status.message()), HasSubstr(changed->etag()));
  EXPECT_EQ(ReasonOf(status), "ETAG_MISMATCH");

  request.mutable_function()->clear_etag();
  request.mutable_update_mask()->add_paths("wrong");
  status = Update(request).status();
  EXPECT_EQ(FieldOf(status), "update_mask");
  EXPECT_THAT(std::string(status.message()), HasSubstr("\"wrong\""));

  request.mutable_update_mask()->clear_paths();
  request.mutable_update_mask()->add_paths("*");
  *request.mutable_function() = Python();
  request.mutable_function()->set_name(made->name());
  const auto replaced = Update(request);
  ASSERT_TRUE(replaced.ok()) << replaced.status();
  EXPECT_EQ(replaced->description(), "");
  EXPECT_TRUE(replaced->has_process());
  EXPECT_EQ(Delete("f", changed->etag()).code(), absl::StatusCode::kAborted);
  EXPECT_TRUE(Delete("f", replaced->etag(), &revision).ok());
  EXPECT_THAT(revision, StartsWith("function-manager:"));
  EXPECT_EQ(Delete("f").code(), absl::StatusCode::kNotFound);
}

TEST_P(FunctionManagerTest, ListsVersionsNewestFirst) {
  const auto made = Create("f");
  ASSERT_TRUE(made.ok());
  pb::UpdateFunctionRequest update;
  *update.mutable_function() = Python();
  update.mutable_function()->set_name(made->name());
  const auto changed = Update(update);
  ASSERT_TRUE(changed.ok()) << changed.status();
  pb::ListFunctionVersionsRequest request;
  request.set_parent(made->name());
  const auto versions = Call(*manager_, &Manager::ListFunctionVersions, request);
  ASSERT_TRUE(versions.ok());
  ASSERT_EQ(versions->versions_size(), 2);
  // A version is the function as it was, under its number, and cannot be changed: it has no etag.
  pb::Function as_version = *changed;
  as_version.set_name(made->name() + "@2");
  as_version.clear_etag();
  EXPECT_EQ(versions->versions(0).SerializeAsString(), as_version.SerializeAsString());
  as_version = *made;
  as_version.set_name(made->name() + "@1");
  as_version.clear_etag();
  EXPECT_EQ(versions->versions(1).SerializeAsString(), as_version.SerializeAsString());
  EXPECT_EQ(Get("f@1")->SerializeAsString(), as_version.SerializeAsString());
}

TEST_P(FunctionManagerTest, SplitsTrafficAndNamesVersions) {
  const auto made = Create("f");
  ASSERT_TRUE(made.ok());
  pb::UpdateFunctionRequest update;
  *update.mutable_function() = Python();
  update.mutable_function()->set_name(made->name());
  ASSERT_TRUE(Update(update).ok());

  pb::SetTrafficRequest traffic;
  traffic.set_name(made->name());
  for (const int version : {1, 2}) {
    traffic.add_targets()->set_version(version);
    traffic.mutable_targets()->rbegin()->set_percent(version == 1 ? 95 : 5);
  }
  std::string revision;
  const auto split = Call(*manager_, &Manager::SetTraffic, traffic, {}, &revision);
  ASSERT_TRUE(split.ok()) << split.status();
  ASSERT_EQ(split->traffic_size(), 2);
  EXPECT_EQ(split->traffic(1).percent(), 5);
  EXPECT_THAT(revision, StartsWith("function-manager:"));
  traffic.set_etag(made->etag());
  EXPECT_EQ(Call(*manager_, &Manager::SetTraffic, traffic).status().code(),
            absl::StatusCode::kAborted);

  pb::SetFunctionAliasRequest set;
  set.mutable_alias()->set_name(made->name() + "/aliases/prod");
  set.mutable_alias()->set_version(1);
  const auto alias = Call(*manager_, &Manager::SetFunctionAlias, set, {}, &revision);
  ASSERT_TRUE(alias.ok()) << alias.status();
  EXPECT_THAT(revision, StartsWith("function-manager:"));
  EXPECT_EQ(Get("f@prod")->version(), 1);
  pb::ListFunctionAliasesRequest list;
  list.set_parent(made->name());
  const auto aliases = Call(*manager_, &Manager::ListFunctionAliases, list);
  ASSERT_EQ(aliases->aliases_size(), 1);
  EXPECT_EQ(aliases->aliases(0).SerializeAsString(), alias->SerializeAsString());

  ASSERT_TRUE(Acquire("f@prod", "s").ok());
  EXPECT_EQ(Acquire("f@beta", "s").status().code(), absl::StatusCode::kNotFound);
  pb::DeleteFunctionAliasRequest remove;
  remove.set_name(alias->name());
  EXPECT_EQ(Call(*manager_, &Manager::DeleteFunctionAlias, remove).status().code(),
            absl::StatusCode::kFailedPrecondition);
  EXPECT_EQ(Delete("f").code(), absl::StatusCode::kFailedPrecondition);
  ASSERT_TRUE(Release("f@prod", "s").ok());
  EXPECT_TRUE(Call(*manager_, &Manager::DeleteFunctionAlias, remove).ok());

  pb::RollbackFunctionRequest rollback;
  rollback.set_name(made->name());
  const auto back = Call(*manager_, &Manager::RollbackFunction, rollback);
  ASSERT_TRUE(back.ok()) << back.status();
  ASSERT_EQ(back->traffic_size(), 1);
  EXPECT_EQ(back->traffic(0).version(), 1);
  Restart();
  EXPECT_EQ(Get("f")->SerializeAsString(), back->SerializeAsString());
}

TEST_P(FunctionManagerTest, LetsOneOfManyCreationsWin) {
  constexpr int kCallers = 32;
  std::atomic<int> made{0};
  std::atomic<int> refused{0};
  std::vector<std::thread> threads;
  for (int i = 0; i < kCallers; ++i) {
    threads.emplace_back([&, i] {
      const auto result = Create("f", Http("http://h/" + std::to_string(i)));
      if (result.ok()) ++made;
      if (result.status().code() == absl::StatusCode::kAlreadyExists) ++refused;
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(made, 1);
  EXPECT_EQ(refused, kCallers - 1);
  EXPECT_EQ(Get("f")->version(), 1);
}

TEST_P(FunctionManagerTest, PagesStayWholeWhileFunctionsComeAndGo) {
  std::set<std::string> expected;
  for (int i = 10; i < 30; ++i) {
    const std::string id = "f" + std::to_string(i);
    ASSERT_TRUE(Create(id).ok());
    expected.insert(NameOf(id));
  }
  pb::ListFunctionsRequest request;
  request.set_parent("spaces/default");
  request.set_page_size(3);
  std::multiset<std::string> seen;
  for (int page = 0; page < 20; ++page) {
    const auto answer = Call(*manager_, &Manager::ListFunctions, request);
    ASSERT_TRUE(answer.ok()) << answer.status();
    for (const pb::Function& function : answer->functions()) seen.insert(function.name());
    request.set_page_token(answer->next_page_token());
    if (request.page_token().empty()) break;
    // Before and after the place of the next page.
    ASSERT_TRUE(Create("a" + std::to_string(page)).ok());
    ASSERT_TRUE(Delete("a" + std::to_string(page)).ok());
  }
  EXPECT_EQ(seen, std::multiset<std::string>(expected.begin(), expected.end()));

  request.set_page_token("nonsense");
  EXPECT_EQ(FieldOf(Call(*manager_, &Manager::ListFunctions, request).status()), "page_token");
  request.clear_page_token();
  request.set_page_size(-1);
  EXPECT_EQ(FieldOf(Call(*manager_, &Manager::ListFunctions, request).status()), "page_size");
  request.set_page_size(5000);
  EXPECT_EQ(Call(*manager_, &Manager::ListFunctions, request)->functions_size(), 20);
}

TEST_P(FunctionManagerTest, KeepsPagesOfLargeFunctionsWithinAMessage) {
  const std::string source(512 << 10, '#');
  for (int i = 0; i < 20; ++i) {
    ASSERT_TRUE(Create("f" + std::to_string(i), Python(source)).ok());
  }
  EXPECT_EQ(FieldOf(Create("large", Python(source + "#")).status()), "function.process.source");
  pb::ListFunctionsRequest request;
  request.set_parent("spaces/default");
  request.set_page_size(1000);
  int seen = 0;
  int pages = 0;
  do {
    const auto answer = Call(*manager_, &Manager::ListFunctions, request);
    ASSERT_TRUE(answer.ok()) << answer.status();
    seen += answer->functions_size();
    ++pages;
    request.set_page_token(answer->next_page_token());
  } while (!request.page_token().empty());
  EXPECT_EQ(seen, 20);
  EXPECT_GT(pages, 1);
}

TEST_P(FunctionManagerTest, FiltersListsByMetadataAndCreator) {
  pb::CreateFunctionRequest create;
  create.set_parent("spaces/default");
  *create.mutable_function() = Http();
  create.set_function_id("mine");
  (*create.mutable_function()->mutable_metadata())["team"] = "a";
  const auto mine = Call(*manager_, &Manager::CreateFunction, create, AsPrincipal("alice"));
  ASSERT_TRUE(mine.ok());
  EXPECT_EQ(mine->creator(), "alice");
  create.set_function_id("forged");
  create.mutable_function()->clear_metadata();
  const auto forged =
      Call(*manager_, &Manager::CreateFunction, create,
           [](grpc::ClientContext& context) { context.AddMetadata(rpc::kPrincipalKey, "alice"); });
  ASSERT_TRUE(forged.ok());
  EXPECT_EQ(forged->creator(), "") << "a principal without the peer token is not believed";

  pb::ListFunctionsRequest list;
  list.set_parent("spaces/default");
  list.set_creator("me");
  auto answer = Call(*manager_, &Manager::ListFunctions, list, AsPrincipal("alice"));
  ASSERT_EQ(answer->functions_size(), 1);
  EXPECT_EQ(answer->functions(0).name(), NameOf("mine"));
  list.clear_creator();
  (*list.mutable_metadata())["team"] = "a";
  EXPECT_EQ(Call(*manager_, &Manager::ListFunctions, list)->functions_size(), 1);
  (*list.mutable_metadata())["team"] = "b";
  EXPECT_EQ(Call(*manager_, &Manager::ListFunctions, list)->functions_size(), 0);
}

TEST_P(FunctionManagerTest, ChecksWithoutChanging) {
  pb::CreateFunctionRequest create;
  create.set_parent("spaces/default");
  create.set_function_id("f");
  *create.mutable_function() = Http();
  create.set_validate_only(true);
  std::string revision;
  const auto checked = Call(*manager_, &Manager::CreateFunction, create, {}, &revision);
  ASSERT_TRUE(checked.ok());
  EXPECT_EQ(checked->name(), NameOf("f"));
  EXPECT_EQ(revision, "");
  EXPECT_EQ(Get("f").status().code(), absl::StatusCode::kNotFound);
}

// The fixture has no key.
TEST_P(FunctionManagerTest, TakesNoSecretWithoutAKeyAndSaysWhatToDo) {
  pb::CreateSecretRequest create;
  create.set_parent("spaces/default");
  create.set_secret_id("db");
  (*create.mutable_secret()->mutable_values())["password"] = "hunter22";
  const absl::Status refused = Call(*manager_, &Manager::CreateSecret, create).status();
  EXPECT_EQ(refused.code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_THAT(std::string(refused.message()), testing::HasSubstr("secrets.key_file"));
  EXPECT_EQ(refused.message().find("hunter22"), absl::string_view::npos);
  EXPECT_EQ(
      Call(*manager_, &Manager::RotateSecretKey, pb::RotateSecretKeyRequest()).status().code(),
      absl::StatusCode::kFailedPrecondition);
  pb::ListSecretsRequest list;
  list.set_parent("spaces/default");
  EXPECT_EQ(Call(*manager_, &Manager::ListSecrets, list)->secrets_size(), 0);
  pb::GetSecretRequest get;
  get.set_name("spaces/default/secrets/db");
  EXPECT_EQ(Call(*manager_, &Manager::GetSecret, get).status().code(), absl::StatusCode::kNotFound);
}

TEST_P(FunctionManagerTest, AProcessFunctionIsReadyWhenAnExecutorSaysThatItStarts) {
  const auto made = Create("f", Python());
  ASSERT_TRUE(made.ok()) << made.status();
  EXPECT_EQ(made->state(), pb::Function::DEPLOYING);
  pbi::ReportDeploymentRequest report;
  report.set_function(NameOf("f"));
  report.set_uid(made->uid());
  report.set_version(1);
  report.set_state(pb::Function::FAILED);
  report.set_reason("ImportError: no module");
  const auto send = [&](const auto& prepare) {
    return Call(*registry_, &pbi::FunctionRegistryService::Stub::ReportDeployment, report, prepare);
  };
  EXPECT_EQ(send([](grpc::ClientContext&) {}).status().code(), absl::StatusCode::kUnauthenticated);
  EXPECT_EQ(send(AsPeer())->state(), pb::Function::FAILED);
  EXPECT_EQ(Get("f")->state(), pb::Function::FAILED);
  EXPECT_EQ(Get("f")->state_reason(), "ImportError: no module");
  EXPECT_EQ(Get("f")->etag(), made->etag()) << "what was read can still be changed";
  report.set_state(pb::Function::READY);
  EXPECT_EQ(send(AsPeer())->state(), pb::Function::READY);
  Restart();
  EXPECT_EQ(Get("f")->state(), pb::Function::READY);
  EXPECT_EQ(Get("f")->state_reason(), "");
  report.set_version(2);
  EXPECT_EQ(send(AsPeer()).status().code(), absl::StatusCode::kNotFound);

  pb::UpdateFunctionRequest update;
  *update.mutable_function() = Python("def handle(c, p): return 1\n");
  update.mutable_function()->set_name(NameOf("f"));
  EXPECT_EQ(Update(update)->state(), pb::Function::DEPLOYING) << "a version of its own";
  EXPECT_EQ(Get("f@1")->state(), pb::Function::READY);
}

}  // namespace
}  // namespace penstock::functions
