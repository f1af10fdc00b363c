#include <algorithm>
#include <filesystem>
#include <fstream>

#include "libs/base/ids.h"
#include "tests/unit/tools/penstock/cli_fixture.h"

namespace penstock::cli {
namespace {

bool Has(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

// A file that goes away with the test.
class TemporaryFile {
 public:
  TemporaryFile(const std::string& name, const std::string& text)
      : folder_(testing::TempDir() + "/cli-" + RandomHex(6)), path_(folder_ + "/" + name) {
    std::filesystem::create_directories(folder_);
    std::ofstream(path_) << text;
  }
  ~TemporaryFile() { std::filesystem::remove_all(folder_); }
  const std::string& path() const { return path_; }
  const std::string& folder() const { return folder_; }

 private:
  const std::string folder_;
  const std::string path_;
};

TEST(CliUsageTest, AnUnknownCommandIsWrongUsage) {
  const Result result = RunProgram({"fuction", "list"});
  EXPECT_EQ(result.code, 2);
  EXPECT_TRUE(Has(result.err, "fuction")) << result.err;
  EXPECT_TRUE(Has(result.err, "penstock --help")) << result.err;
}

TEST(CliUsageTest, AMissingArgumentNamesItAndTheCommand) {
  const Result result = RunProgram({"function", "get"});
  EXPECT_EQ(result.code, 2);
  EXPECT_TRUE(Has(result.err, "name is required")) << result.err;
  EXPECT_TRUE(Has(result.err, "penstock function get --help")) << result.err;
}

TEST(CliUsageTest, EveryCommandHasHelpAndLeavesHaveExamples) {
  for (const auto& path : std::vector<std::vector<std::string>>{{"function", "create"},
                                                                {"function", "invoke"},
                                                                {"function", "versions"},
                                                                {"function", "traffic"},
                                                                {"function", "rollback"},
                                                                {"function", "alias", "set"},
                                                                {"secret", "set"},
                                                                {"secret", "rotate-key"},
                                                                {"subscription", "create"},
                                                                {"emit"},
                                                                {"events", "tail"},
                                                                {"deadletters", "redrive"},
                                                                {"executions", "list"},
                                                                {"apply"},
                                                                {"status"},
                                                                {"completion"}}) {
    std::vector<std::string> arguments = path;
    arguments.push_back("--help");
    const Result result = RunProgram(arguments);
    EXPECT_EQ(result.code, 0) << path[0];
    EXPECT_TRUE(Has(result.out, "Examples:")) << path[0];
  }
}

TEST(CliUsageTest, ABadTimeoutIsWrongUsage) {
  const Result result = RunProgram({"--timeout", "soon", "status"});
  EXPECT_EQ(result.code, 2);
  EXPECT_TRUE(Has(result.err, "--timeout")) << result.err;
}

TEST(CliUsageTest, NoServerIsExitCodeThreeAndSaysWhatToDo) {
  // Port 1 answers nobody.
  const Result result = RunProgram({"--server", "127.0.0.1:1", "function", "list"});
  EXPECT_EQ(result.code, 3) << result.err;
  EXPECT_TRUE(Has(result.err, "127.0.0.1:1")) << result.err;
  EXPECT_TRUE(Has(result.err, "penstock up")) << result.err;
}

TEST(CliUsageTest, CompletionKnowsCommandsAndFlags) {
  for (const std::string shell : {"bash", "zsh", "fish"}) {
    const Result result = RunProgram({"completion", shell});
    EXPECT_EQ(result.code, 0);
    EXPECT_TRUE(Has(result.out, "deadletters")) << shell;
    EXPECT_TRUE(Has(result.out, "max-workers")) << shell;
  }
  EXPECT_EQ(RunProgram({"completion", "tcsh"}).code, 2);
}

TEST_F(CliTest, AFirstFunctionTakesOneCommand) {
  const TemporaryFile source("hello.py", "def handle(ctx, payload): return payload\n");
  const Result result = Run({"function", "create", "hello", "--source", source.path(),
                             "--subscribe", "user.created", "--subscribe", "user.deleted"});
  EXPECT_EQ(result.code, 0) << result.err;
  EXPECT_TRUE(Has(result.out, "function \"hello\" created (READY")) << result.out;
  const auto& function = server_.functions.functions.at("spaces/default/functions/hello");
  EXPECT_EQ(function.process().runtime(), "python3");
  EXPECT_TRUE(Has(function.process().source(), "def handle"));
  ASSERT_EQ(server_.catalog.subscriptions.size(), 2U);
  EXPECT_EQ(server_.catalog.subscriptions.at("spaces/default/subscriptions/hello-1").event_type(),
            "user.created");
  EXPECT_EQ(server_.catalog.subscriptions.at("spaces/default/subscriptions/hello-2").event_type(),
            "user.deleted");
}

TEST_F(CliTest, SubscribeTakesTheNextFreeNumber) {
  server_.catalog.subscriptions["spaces/default/subscriptions/hello-1"].set_etag("1");
  const Result result =
      Run({"function", "create", "hello", "--noop", "--subscribe", "user.created"});
  EXPECT_EQ(result.code, 0) << result.err;
  EXPECT_TRUE(server_.catalog.subscriptions.contains("spaces/default/subscriptions/hello-2"));
}

TEST_F(CliTest, TheTokenIsSentAsAuthorization) {
  EXPECT_EQ(Run({"--token", "abc", "function", "create", "f", "--noop"}).code, 0);
  EXPECT_EQ(server_.functions.authorization, "Bearer abc");
}

TEST_F(CliTest, GlobalFlagsMayFollowTheCommand) {
  EXPECT_EQ(Run({"function", "create", "f", "--noop", "--space", "shop"}).code, 0);
  EXPECT_TRUE(server_.functions.functions.contains("spaces/shop/functions/f"));
}

TEST_F(CliTest, AServersRefusalNamesTheFieldAndIsExitCodeOne) {
  const Result result = Run({"function", "create", "f", "--noop", "--timeout", "1h"});
  EXPECT_EQ(result.code, 1);
  EXPECT_TRUE(Has(result.err, "error: function.timeout: must be at most 15m")) << result.err;
}

TEST_F(CliTest, ListTurnsPagesAndAlignsColumns) {
  for (const char* const id : {"a", "b", "c", "d", "long-name"}) {
    ASSERT_EQ(Run({"function", "create", id, "--noop"}).code, 0);
  }
  const Result result = Run({"function", "list"});
  EXPECT_EQ(result.code, 0);
  EXPECT_TRUE(result.out.starts_with("NAME       RUNS  STATE")) << result.out;
  EXPECT_TRUE(Has(result.out, "\nlong-name  noop  READY")) << result.out;
  EXPECT_TRUE(Has(result.out, "\nd          noop")) << result.out;
  const Result json = Run({"function", "list", "-o", "json", "--limit", "3"});
  EXPECT_TRUE(Has(json.out, "\"functions\": [")) << json.out;
  EXPECT_TRUE(Has(json.out, "functions/c")) << json.out;
}

TEST_F(CliTest, AnEmptyListSaysSoOnStandardError) {
  const Result result = Run({"function", "list"});
  EXPECT_EQ(result.code, 0);
  EXPECT_EQ(result.out, "");
  EXPECT_EQ(result.err, "no functions in space default\n");
}

TEST_F(CliTest, InvokePrintsTheAnswerOnStandardOutputAndLogsOnStandardError) {
  const Result result = Run({"function", "invoke", "hello", "--data", R"({"a":1})"});
  EXPECT_EQ(result.code, 0) << result.err;
  EXPECT_EQ(result.out, "{\"a\":1}\n");
  EXPECT_EQ(result.err, "it runs\n");
  EXPECT_EQ(Run({"function", "invoke", "hello", "--no-logs"}).err, "");
}

TEST_F(CliTest, InvokeReadsStandardInputAndKeepsBytes) {
  const std::string bytes("\x00\xff\n", 3);
  const Result result = Run({"function", "invoke", "hello", "--data", "-"}, bytes);
  EXPECT_EQ(result.code, 0) << result.err;
  EXPECT_EQ(result.out, bytes);
}

TEST_F(CliTest, AFunctionThatFailsIsExitCodeFourWithItsStack) {
  const Result result = Run({"function", "invoke", "broken", "--data", "{}"});
  EXPECT_EQ(result.code, 4);
  EXPECT_EQ(result.out, "");
  EXPECT_TRUE(Has(result.err, "error: FunctionError KeyError: 'name'")) << result.err;
  EXPECT_TRUE(Has(result.err, "hello.py, line 3")) << result.err;
  EXPECT_TRUE(Has(result.err, "executions get e-1")) << result.err;
}

TEST_F(CliTest, LogsShowRunsOldestFirst) {
  const Result result = Run({"function", "logs", "hello"});
  EXPECT_EQ(result.code, 0) << result.err;
  EXPECT_LT(result.out.find("line of e-1"), result.out.find("line of e-2")) << result.out;
}

TEST_F(CliTest, EmitSendsACloudEventAndPrintsTheReceipt) {
  const Result result =
      Run({"emit", "user.created", "--data", R"({"name":"Ada"})", "--source", "/shop", "--subject",
           "17", "--extension", "partitionkey=a", "--id", "e1"});
  EXPECT_EQ(result.code, 0) << result.err;
  EXPECT_EQ(result.out, "ACCEPTED id=e1 sequence=1\n");
  const auto& event = server_.broker.events.at(0);
  EXPECT_EQ(event.type(), "user.created");
  EXPECT_EQ(event.source(), "/shop");
  EXPECT_EQ(event.binary_data(), R"({"name":"Ada"})");
  EXPECT_EQ(event.attributes().at("datacontenttype").ce_string(), "application/json");
  EXPECT_EQ(event.attributes().at("partitionkey").ce_string(), "a");
  EXPECT_TRUE(event.attributes().contains("time"));
}

TEST_F(CliTest, EmitRefusesABadAttributeBeforeItAsksTheServer) {
  const Result result = Run({"emit", "t", "--extension", "Bad-Name=1"});
  EXPECT_EQ(result.code, 1);
  EXPECT_TRUE(Has(result.err, "Bad-Name")) << result.err;
  EXPECT_TRUE(server_.broker.events.empty());
}

TEST_F(CliTest, EmitCountSendsBatchesWithIdsOfTheirOwn) {
  const Result result = Run({"emit", "load", "--count", "600", "--id", "x"});
  EXPECT_EQ(result.code, 0) << result.err;
  EXPECT_EQ(result.out, "600 accepted, 0 duplicates\n");
  EXPECT_EQ(server_.broker.batches, 3);
  EXPECT_EQ(server_.broker.events.at(0).id(), "x-1");
  EXPECT_EQ(server_.broker.events.at(599).id(), "x-600");
}

TEST_F(CliTest, TailPrintsOneCloudEventALine) {
  ASSERT_EQ(Run({"emit", "a", "--id", "1"}).code, 0);
  ASSERT_EQ(Run({"emit", "b", "--id", "2", "--data", "{\n\"x\": 1}"}).code, 0);
  const Result result = Run({"events", "tail", "-o", "json", "--from", "2"});
  EXPECT_EQ(result.code, 0) << result.err;
  EXPECT_EQ(std::count(result.out.begin(), result.out.end(), '\n'), 1) << result.out;
  EXPECT_TRUE(Has(result.out, R"("type":"b")")) << result.out;
}

TEST_F(CliTest, WhatAServerSendsCannotDriveTheTerminal) {
  const Result result = Run({"deadletters", "list"});
  EXPECT_EQ(result.code, 0);
  EXPECT_TRUE(Has(result.out, "KeyError: no name ?[31m")) << result.out;
}

TEST_F(CliTest, RedriveNeedsExactlyOneSelection) {
  EXPECT_EQ(Run({"deadletters", "redrive"}).code, 2);
  EXPECT_EQ(Run({"deadletters", "redrive", "d-1", "--all"}).code, 2);
  const Result result = Run({"deadletters", "redrive", "d-1", "d-2"});
  EXPECT_EQ(result.code, 0) << result.err;
  EXPECT_EQ(server_.catalog.redriven.names_size(), 2);
  EXPECT_EQ(server_.catalog.redriven.names(0), "spaces/default/deadLetters/d-1");
}

TEST_F(CliTest, WhatTheServerDoesNotHaveSaysSo) {
  const Result result = Run({"subscription", "pause", "s1"});
  EXPECT_EQ(result.code, 1);
  EXPECT_TRUE(Has(result.err, "this server does not have that")) << result.err;
}

constexpr char kDocuments[] = R"(kind: Subscription
name: hello-users
spec: {eventType: user.created, function: hello}
---
kind: Function
name: hello
spec:
  noop: {}
)";

TEST_F(CliTest, ApplyCreatesThenLeavesUnchangedThenConfigures) {
  const Result created = Run({"apply", "-f", "-"}, kDocuments);
  EXPECT_EQ(created.code, 0) << created.err;
  EXPECT_EQ(created.out, "Function hello created\nSubscription hello-users created\n");
  const int writes = server_.functions.writes;
  const Result again = Run({"apply", "-f", "-"}, kDocuments);
  EXPECT_EQ(again.out, "Function hello unchanged\nSubscription hello-users unchanged\n");
  EXPECT_EQ(server_.functions.writes, writes);
  const std::string changed = "kind: Function\nname: hello\nspec: {noop: {}, timeout: 5s}\n";
  EXPECT_EQ(Run({"apply", "-f", "-", "--dry-run"}, changed).out,
            "Function hello configured (dry run)\n");
  EXPECT_EQ(server_.functions.writes, writes);
  EXPECT_EQ(Run({"apply", "-f", "-"}, changed).out, "Function hello configured\n");
  EXPECT_EQ(server_.functions.functions.at("spaces/default/functions/hello").timeout().seconds(),
            5);
}

TEST_F(CliTest, ApplyNamesFileLineAndFieldAndAppliesNothing) {
  const TemporaryFile file("app.yaml",
                           "kind: Function\nname: hello\nspec: {noop: {}}\n---\n"
                           "kind: Function\nname: other\nspec:\n  http:\n    ulr: http://x/\n");
  const Result result = Run({"apply", "-f", file.path()});
  EXPECT_EQ(result.code, 1);
  EXPECT_TRUE(Has(result.err, "app.yaml:9:")) << result.err;
  EXPECT_TRUE(Has(result.err, "http.ulr")) << result.err;
  EXPECT_TRUE(server_.functions.functions.empty());
}

TEST_F(CliTest, ApplyGoesOnAfterARefusalAndEndsWithOne) {
  const Result result = Run({"apply", "-f", "-"},
                            "- {kind: Function, name: bad, spec: {noop: {}, timeout: 3600s}}\n"
                            "- {kind: Function, name: good, spec: {noop: {}}}\n");
  EXPECT_EQ(result.code, 1);
  EXPECT_EQ(result.out, "Function bad failed\nFunction good created\n");
  EXPECT_TRUE(Has(result.err, "standard input:1:3: error: function.timeout")) << result.err;
}

TEST_F(CliTest, WhatGetPrintsCanBeApplied) {
  ASSERT_EQ(Run({"function", "create", "hello", "--noop", "--metadata", "team=1"}).code, 0);
  const Result printed = Run({"function", "get", "hello"});
  const Result applied = Run({"apply", "-f", "-"}, printed.out);
  EXPECT_EQ(applied.out, "Function hello unchanged\n") << applied.err << printed.out;
}

TEST_F(CliTest, DeleteByFileTakesAFolderAndToleratesWhatIsGone) {
  const TemporaryFile file("app.yaml", "kind: Function\nname: hello\nspec: {noop: {}}\n");
  ASSERT_EQ(Run({"apply", "-f", file.folder()}).code, 0);
  EXPECT_EQ(Run({"delete", "-f", file.folder()}).out, "Function hello deleted\n");
  EXPECT_EQ(Run({"delete", "-f", file.folder()}).out, "Function hello not found\n");
}

TEST_F(CliTest, StatusShowsEachService) {
  const Result result = Run({"status"});
  EXPECT_EQ(result.code, 0) << result.err << result.out;
  for (const char* const name :
       {"gateway", "event-broker", "function-manager", "function-executor"}) {
    EXPECT_TRUE(Has(result.out, name)) << result.out;
  }
  server_.host->SetServing(false);
  const Result draining = Run({"status"});
  EXPECT_EQ(draining.code, 1);
  EXPECT_TRUE(Has(draining.out, "not ready")) << draining.out;
}

}  // namespace
}  // namespace penstock::cli
