// Node functions, and plain executables.
#include <filesystem>

#include "gmock/gmock.h"
#include "tests/unit/services/function-executor/drivers_process/process_fixture.h"

namespace penstock::executor {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;

class NodeTest : public ProcessDriverFixture {
 protected:
  void SetUp() override {
    if (std::system("command -v node >/dev/null 2>&1") != 0) {
      GTEST_SKIP() << "node is not installed";
    }
  }
  static Spec Node(const std::string& source) { return Function("node", source); }
};

TEST_F(NodeTest, AnswersWithAValueOrAPromise) {
  EXPECT_EQ(
      *Call(Node("exports.handle = (ctx, payload) => ({hello: payload.name, n: ctx.attempt});"),
            R"({"name": "bob"})")
           .payload,
      R"({"hello":"bob","n":1})");
  EXPECT_EQ(
      *Call(Node("exports.handle = (ctx, p) => new Promise(done => setImmediate(done, p + 1));"),
            "41")
           .payload,
      "42");
  EXPECT_EQ(*Call(Node("exports.handle = () => {};"), "").payload, "null");
}

TEST_F(NodeTest, TakesLargePayloadsAndReturnsBytes) {
  const auto function = Node("exports.handle = (ctx, payload) => Buffer.from(payload);");
  const std::string text(900'000, 'a');
  const Outcome outcome = Call(function, "\"" + text + "\"");
  ASSERT_EQ(TypeOf(outcome), "") << MessageOf(outcome);
  EXPECT_EQ(*outcome.payload, text);
  EXPECT_EQ(outcome.content_type, "application/octet-stream");
}

TEST_F(NodeTest, AttributesWhatIsLoggedAndSurvivesAFlood) {
  const auto function = Node(
      "exports.handle = (ctx, payload) => {\n"
      "  console.log('out'); console.error('err');\n"
      "  for (let i = 0; i < payload; i++) console.log('x'.repeat(65535));\n"
      "  return 'done';\n"
      "};");
  const Outcome quiet = Call(function, "0");
  EXPECT_THAT(quiet.logs.out, ElementsAre("out"));
  EXPECT_THAT(quiet.logs.err, ElementsAre("err"));
  const Outcome flood = Call(function, "160");
  EXPECT_EQ(*flood.payload, "\"done\"");
  EXPECT_TRUE(flood.logs.truncated);
}

TEST_F(NodeTest, TellsErrorsOfEveryKind) {
  const auto function = Node(
      "class InputError extends Error { constructor(m) { super(m); this.name = 'InputError'; } }\n"
      "exports.handle = async (ctx, payload) => {\n"
      "  switch (payload) {\n"
      "    case 'type': return null.x;\n"
      "    case 'input': throw new InputError('age: expected a number');\n"
      "    case 'string': throw 'plain';\n"
      "    case 'bigint': return 1n;\n"
      "    case 'function': return () => 1;\n"
      "    case 'late': setImmediate(() => { throw new RangeError('late'); }); return new "
      "Promise(() => {});\n"
      "    case 'exit': process.exit(3);\n"
      "  }\n"
      "};");
  const Outcome type = Call(function, "\"type\"");
  EXPECT_EQ(TypeOf(type), "TypeError");
  ASSERT_THAT(type.error->stacktrace, Not(IsEmpty()));
  EXPECT_THAT(type.error->stacktrace.back(), HasSubstr("function.cjs:4"));
  const Outcome input = Call(function, "\"input\"");
  EXPECT_EQ(input.error->category, ErrorCategory::kInput);
  EXPECT_EQ(MessageOf(input), "age: expected a number");
  EXPECT_EQ(MessageOf(Call(function, "\"string\"")), "plain");
  EXPECT_EQ(TypeOf(Call(function, "\"bigint\"")), "Unserializable");
  EXPECT_THAT(MessageOf(Call(function, "\"function\"")), HasSubstr("of type function"));
  EXPECT_EQ(TypeOf(Call(function, "\"late\"")), "RangeError");
  const Outcome exited = Call(function, "\"exit\"");
  EXPECT_EQ(TypeOf(exited), "Crashed");
  EXPECT_THAT(MessageOf(exited), HasSubstr("code 3"));
}

TEST_F(NodeTest, PlacesSyntaxErrorsAndMissingHandlers) {
  const Outcome syntax = Call(Node("\nexports.handle = (ctx payload) => 1;"), "");
  EXPECT_EQ(TypeOf(syntax), "SyntaxError");
  EXPECT_THAT(MessageOf(syntax), HasSubstr("function.cjs:2"));
  EXPECT_EQ(TypeOf(Call(Node("exports.other = 1;"), "")), "LookupError");
}

TEST_F(NodeTest, KeepsItsDescriptorsFromSubprocesses) {
  const auto function = Node(
      "const { spawnSync } = require('child_process');\n"
      "exports.handle = () => {\n"
      "  const write = 'for fd in $(ls /proc/self/fd); do echo \\'{\"payload\":\"forged\"}\\' "
      ">&$fd; done';\n"
      "  spawnSync('/bin/bash', ['-c', write], { stdio: ['ignore', 'inherit', 'inherit'] });\n"
      "  return 'genuine';\n"
      "};");
  for (int i = 0; i < 2; ++i) EXPECT_EQ(*Call(function, "").payload, "\"genuine\"");
}

TEST_F(NodeTest, BoundsAWorkersMemory) {
  const auto function = Node(
      "exports.handle = (ctx, payload) => { const all = []; for (;;) all.push(new "
      "Array(1000).fill(payload)); };");
  TargetOf(function).memory_bytes_max = 32 << 20;
  const Outcome outcome = Call(function, "1");
  EXPECT_EQ(TypeOf(outcome), "Crashed");
  EXPECT_THAT(MessageOf(outcome), HasSubstr("out of memory, the limit is 32 MiB"));
}

class ExecTest : public ProcessDriverFixture {};

TEST_F(ExecTest, RunsAScriptThatAnswersLineByLine) {
  const auto function = Script(
      "#!/bin/sh\n"
      "while read -r line; do echo 'log' >&2; echo '{\"payload\": \"hi\", \"contentType\": "
      "\"text/plain\"}'; done\n");
  for (int i = 0; i < 3; ++i) {
    const Outcome outcome = Call(function, "");
    ASSERT_EQ(TypeOf(outcome), "") << MessageOf(outcome);
    EXPECT_EQ(*outcome.payload, "hi");
    EXPECT_EQ(outcome.content_type, "text/plain");
  }
  EXPECT_EQ(driver().workers(), 1);
}

TEST_F(ExecTest, RunsACommand) {
  const auto function = Function("exec", "");
  TargetOf(function).command = {
      "/usr/bin/python3", "-c",
      "import json,sys\n"
      "for l in sys.stdin: print(json.dumps({'payload': json.loads(l)['payload']}), flush=True)"};
  EXPECT_EQ(*Call(function, "[1, 2]").payload, "[1, 2]");
}

TEST_F(ExecTest, ServesEveryCallThoughTheProgramEndsAfterEach) {
  const auto function = Script("#!/bin/sh\nread -r line\necho '{\"payload\": 1}'\n");
  for (int i = 0; i < 20; ++i) {
    const Outcome outcome = Call(function, "");
    ASSERT_EQ(TypeOf(outcome), "") << MessageOf(outcome);
  }
}

TEST_F(ExecTest, TheLauncherLoadsNothingThatTheFunctionNames) {
  const auto function = Script("#!/bin/sh\nwhile read -r line; do echo '{\"payload\": 1}'; done\n");
  function->environment["LD_PRELOAD"] = "/no/such/library.so";
  const Outcome outcome = Call(function, "");
  ASSERT_EQ(TypeOf(outcome), "") << MessageOf(outcome);
  // The shell's own linker misses it; the launcher, which runs before every limit, has none.
  ASSERT_EQ(outcome.logs.err.size(), 1U);
  EXPECT_THAT(outcome.logs.err[0], HasSubstr("/no/such/library.so"));
}

TEST_F(ExecTest, AWorkerThatAnswersBeforeItReadItsCallGetsNoOther) {
  const auto function = Function("exec", "");
  TargetOf(function).command = {"/usr/bin/python3", "-c",
                                "import os, sys\n"
                                "answer = '{\"payload\": %d}' % os.getpid()\n"
                                "os.read(0, 10)\n"
                                "print(answer, flush=True)\n"
                                "for line in sys.stdin: print(answer, flush=True)"};
  const std::string payload = '"' + std::string(1 << 20, 'x') + '"';
  const Outcome first = Call(function, payload);
  ASSERT_EQ(TypeOf(first), "") << MessageOf(first);
  const Outcome second = Call(function, payload);
  ASSERT_EQ(TypeOf(second), "") << MessageOf(second);
  EXPECT_NE(*first.payload, *second.payload);
}

TEST_F(ExecTest, QuotesALineThatIsNoAnswerAndReplacesTheWorker) {
  const auto function = Script(
      "#!/bin/bash\n"
      "read -r line\n"
      "if [[ $line == *good* ]]; then echo '{\"payload\": 1}'; else echo 'Hello, World'; fi\n"
      "read -r line\n");
  const Outcome outcome = Call(function, "\"bad\"");
  EXPECT_EQ(TypeOf(outcome), "InvalidAnswer");
  EXPECT_EQ(outcome.error->category, ErrorCategory::kFunction);
  EXPECT_THAT(MessageOf(outcome), HasSubstr("Hello, World"));
  EXPECT_EQ(*Call(function, "\"good\"").payload, "1");
}

TEST_F(ExecTest, NeverTakesAnAnswerThatNobodyAskedForAsTheNextCalls) {
  // One write, so that both lines are there at once.
  const auto function = Script(
      "#!/bin/bash\n"
      "while read -r line; do /bin/echo -e '{\"payload\": 1}\\n{\"payload\": \"stale\"}'; done\n");
  for (int i = 0; i < 5; ++i) EXPECT_EQ(*Call(function, "").payload, "1");
}

TEST_F(ExecTest, RefusesAnAnswerForAnotherExecution) {
  const auto function = Script(
      "#!/bin/sh\n"
      "while read -r line; do echo '{\"payload\": 1, \"executionId\": \"e1\"}'; done\n");
  EXPECT_EQ(TypeOf(Call(function, "")), "");
  Invocation other = Invoke(function, "");
  other.execution_id = "e2";
  const Outcome outcome = Call(std::move(other));
  EXPECT_EQ(TypeOf(outcome), "InvalidAnswer");
  EXPECT_THAT(MessageOf(outcome), HasSubstr("another execution"));
}

TEST_F(ExecTest, TellsWhyAProgramCannotBeStarted) {
  const auto missing = Function("exec", "");
  TargetOf(missing).command = {"/no/such/program"};
  const Outcome outcome = Call(missing, "");
  EXPECT_EQ(TypeOf(outcome), "StartFailed");
  EXPECT_EQ(outcome.error->category, ErrorCategory::kFunction);
  EXPECT_THAT(MessageOf(outcome), HasSubstr("/no/such/program"));
  const Outcome no_interpreter = Call(Script("echo hi\n"), "");
  EXPECT_EQ(TypeOf(no_interpreter), "StartFailed");
  EXPECT_THAT(MessageOf(no_interpreter), HasSubstr("process.source"));
  const Outcome unknown = Call(Function("cobol", ""), "");
  EXPECT_THAT(MessageOf(unknown), HasSubstr("process.runtime"));
}

TEST_F(ExecTest, AMissingInterpreterIsTheOperatorsProblem) {
  options_.python = "/no/such/python3";
  const Outcome outcome = Call(Python("def handle(ctx, payload): return 1\n"), "");
  EXPECT_EQ(TypeOf(outcome), "StartFailed");
  EXPECT_EQ(outcome.error->category, ErrorCategory::kSystem);
}

TEST_F(ExecTest, AMissingLauncherIsTheOperatorsProblem) {
  options_.work_dir = folder_.path() + "/work";
  options_.launcher_path = "/no/such/launcher";
  driver_ = std::make_unique<ProcessDriver>(options_, SystemClock());
  const Outcome outcome = Call(Python("def handle(ctx, payload): return 1\n"), "");
  EXPECT_EQ(TypeOf(outcome), "StartFailed");
  EXPECT_EQ(outcome.error->category, ErrorCategory::kSystem);
  EXPECT_EQ(driver().workers(), 0);
}

}  // namespace
}  // namespace penstock::executor
