// What Python functions can do, and do wrong.
#include <fstream>
#include <sstream>

#include "gmock/gmock.h"
#include "tests/unit/services/function-executor/drivers_process/process_fixture.h"

namespace penstock::executor {
namespace {

using namespace std::chrono_literals;

using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

class PythonTest : public ProcessDriverFixture {};

TEST_F(PythonTest, AnswersWithTheResultAsJson) {
  const auto function = Python(
      "def handle(ctx, payload):\n"
      "    return {'hello': payload['name'], 'id': ctx['executionId']}\n");
  const Outcome outcome = Call(function, "{\n\"name\":\n\"gr\\u00fc\xC3\x9F\"\n}\n");
  ASSERT_EQ(TypeOf(outcome), "") << MessageOf(outcome);
  EXPECT_EQ(*outcome.payload, "{\"hello\":\"gr\xC3\xBC\xC3\x9F\",\"id\":\"e1\"}");
  EXPECT_EQ(outcome.content_type, "application/json");
}

TEST_F(PythonTest, KeepsOneWorkerForCallAfterCall) {
  const auto function = Python(
      "import os\n"
      "count = 0\n"
      "def handle(ctx, payload):\n"
      "    global count\n"
      "    count += 1\n"
      "    return [os.getpid(), count]\n");
  const std::string first = *Call(function, "").payload;
  const std::string second = *Call(function, "").payload;
  EXPECT_EQ(first.substr(0, first.find(',')), second.substr(0, second.find(',')));
  EXPECT_EQ(second.substr(second.find(',')), ",2]");
  EXPECT_EQ(driver().workers(), 1);
}

TEST_F(PythonTest, CallsTheHandlerThatTheFunctionNames) {
  const auto function = Python("def other(ctx, payload): return 'other'\n");
  TargetOf(function).handler = "other";
  EXPECT_EQ(*Call(function, "").payload, "\"other\"");
}

TEST_F(PythonTest, ReturnsBytesAsTheyAre) {
  const auto function = Python("def handle(ctx, payload): return bytes([0, 255])\n");
  const Outcome outcome = Call(function, "");
  EXPECT_EQ(*outcome.payload, std::string("\0\xFF", 2));
  EXPECT_EQ(outcome.content_type, "application/octet-stream");
}

TEST_F(PythonTest, AttributesWhatIsPrintedToTheCall) {
  const auto function = Python(
      "import sys\n"
      "def handle(ctx, payload):\n"
      "    print('out', payload)\n"
      "    print('err', payload, file=sys.stderr)\n"
      "    sys.stdout.write('no end')\n");
  for (const char* payload : {"1", "2"}) {
    const Outcome outcome = Call(function, payload);
    EXPECT_THAT(outcome.logs.out, ElementsAre(std::string("out ") + payload, "no end"));
    EXPECT_THAT(outcome.logs.err, ElementsAre(std::string("err ") + payload));
    EXPECT_FALSE(outcome.logs.truncated);
  }
}

TEST_F(PythonTest, SurvivesAFloodOnBothStreams) {
  const auto function = Python(
      "import os, sys\n"
      "def handle(ctx, payload):\n"
      "    for i in range(160):\n"
      "        os.write(1, b'x' * 65536)\n"
      "        os.write(2, b'y\\n' * 32768)\n"
      "    return 'done'\n");
  const Outcome outcome = Call(function, "");
  ASSERT_EQ(TypeOf(outcome), "") << MessageOf(outcome);
  EXPECT_EQ(*outcome.payload, "\"done\"");
  EXPECT_TRUE(outcome.logs.truncated);
  std::size_t kept = 0;
  for (const auto& line : outcome.logs.out) kept += line.size();
  for (const auto& line : outcome.logs.err) kept += line.size();
  EXPECT_LE(kept, options_.log_bytes_max);
  EXPECT_GT(kept, options_.log_bytes_max / 4);
}

TEST_F(PythonTest, TellsAnExceptionWithItsStack) {
  const auto function = Python(
      "def inner():\n"
      "    raise KeyError('nope')\n"
      "def handle(ctx, payload):\n"
      "    inner()\n");
  const Outcome outcome = Call(function, "");
  ASSERT_EQ(TypeOf(outcome), "KeyError");
  EXPECT_EQ(outcome.error->category, ErrorCategory::kFunction);
  EXPECT_EQ(outcome.error->message, "'nope'");
  EXPECT_THAT(outcome.error->stacktrace,
              ElementsAre("File 'function.py', line 4, in handle: inner()",
                          "File 'function.py', line 2, in inner: raise KeyError('nope')"));
}

TEST_F(PythonTest, InputErrorBlamesTheCaller) {
  const auto function = Python(
      "from penstock import InputError\n"
      "class AgeError(InputError): pass\n"
      "def handle(ctx, payload): raise AgeError('age: expected a number')\n");
  const Outcome outcome = Call(function, "");
  ASSERT_EQ(TypeOf(outcome), "AgeError");
  EXPECT_EQ(outcome.error->category, ErrorCategory::kInput);
  EXPECT_EQ(outcome.error->message, "age: expected a number");
}

TEST_F(PythonTest, NamesTheTypeOfAResultThatIsNotJson) {
  for (const char* result : {"{1, 2}", "object()", "float('nan')", "'\\ud800'"}) {
    const Outcome outcome =
        Call(Python(std::string("def handle(ctx, payload): return ") + result), "");
    EXPECT_EQ(TypeOf(outcome), "Unserializable") << result;
  }
  const Outcome outcome = Call(Python("def handle(ctx, payload): return {1, 2}"), "");
  EXPECT_THAT(MessageOf(outcome), HasSubstr("of type set"));
}

TEST_F(PythonTest, TellsWhySourceDoesNotLoadAndDoesNotTryAgainAtOnce) {
  const std::string marker = folder_.path() + "/starts";
  const auto function = Python("open('" + marker +
                               "', 'a').write('x')\n"
                               "print('loading')\n"
                               "raise RuntimeError('cannot load')\n");
  for (int i = 0; i < 5; ++i) {
    const Outcome outcome = Call(function, "");
    ASSERT_EQ(TypeOf(outcome), "RuntimeError");
    EXPECT_EQ(MessageOf(outcome), "cannot load");
  }
  std::stringstream starts;
  starts << std::ifstream(marker).rdbuf();
  EXPECT_EQ(starts.str(), "x");
}

TEST_F(PythonTest, TriesAFailedStartAgainAfterTheDelay) {
  options_.backoff_initial = 1ms;
  const std::string marker = folder_.path() + "/second";
  const auto function = Python(
      "import os\n"
      "if not os.path.exists('" +
      marker +
      "'):\n"
      "    open('" +
      marker +
      "', 'w').close()\n"
      "    raise RuntimeError('first')\n"
      "def handle(ctx, payload): return 'up'\n");
  EXPECT_EQ(TypeOf(Call(function, "")), "RuntimeError");
  EXPECT_TRUE(Eventually([&] { return TypeOf(Call(function, "")).empty(); }));
}

TEST_F(PythonTest, PlacesSyntaxErrorsAndMissingHandlers) {
  const Outcome syntax = Call(Python("def handle(ctx, payload)\n  return 1\n"), "");
  EXPECT_EQ(TypeOf(syntax), "SyntaxError");
  EXPECT_EQ(syntax.error->category, ErrorCategory::kFunction);
  EXPECT_THAT(MessageOf(syntax), HasSubstr("function.py, line 1"));
  const Outcome missing = Call(Python("x = 1\n"), "");
  EXPECT_EQ(TypeOf(missing), "LookupError");
  EXPECT_THAT(MessageOf(missing), HasSubstr("'handle'"));
}

TEST_F(PythonTest, TellsHowAWorkerEndedAndTakesTheNextCallOnANewOne) {
  const auto function = Python(
      "import os, sys\n"
      "def handle(ctx, payload):\n"
      "    print('before')\n"
      "    if payload == 'exit': sys.exit(3)\n"
      "    if payload == 'abort': os.abort()\n"
      "    return 'fine'\n");
  const Outcome exited = Call(function, "\"exit\"");
  EXPECT_EQ(TypeOf(exited), "Crashed");
  EXPECT_EQ(exited.error->category, ErrorCategory::kFunction);
  EXPECT_THAT(MessageOf(exited), HasSubstr("exited with code 3"));
  EXPECT_THAT(exited.logs.out, ElementsAre("before"));
  const Outcome aborted = Call(function, "\"abort\"");
  EXPECT_EQ(TypeOf(aborted), "Crashed");
  EXPECT_THAT(MessageOf(aborted), HasSubstr("signal 6"));
  EXPECT_EQ(*Call(function, "\"\"").payload, "\"fine\"");
}

TEST_F(PythonTest, SubprocessesAndForkedChildrenCannotSpeakForTheWorker) {
  const auto function = Python(
      "import os, subprocess\n"
      "def handle(ctx, payload):\n"
      "    write = 'for fd in $(ls /proc/self/fd); do echo \\'{\"payload\":\"forged\"}\\' >&$fd; "
      "done'\n"
      "    subprocess.run(['/bin/bash', '-c', write], stdin=subprocess.DEVNULL, close_fds=False)\n"
      "    if os.fork() == 0:\n"
      "        return 'from the child'\n"
      "    os.wait()\n"
      "    return 'genuine'\n");
  for (int i = 0; i < 2; ++i) EXPECT_EQ(*Call(function, "").payload, "\"genuine\"");
}

TEST_F(PythonTest, GivesTheFunctionACleanEnvironment) {
  ASSERT_EQ(::setenv("PENSTOCK_TEST_LEAK", "leak", 1), 0);
  const auto function = Python(
      "import os\n"
      "def handle(ctx, payload):\n"
      "    return [sorted(os.environ), os.getcwd(), sorted(os.listdir('/proc/self/fd'), "
      "key=int)[:3]]\n");
  function->environment["MINE"] = "1";
  const Outcome outcome = Call(function, "");
  EXPECT_EQ(*outcome.payload, "[[\"HOME\",\"LANG\",\"MINE\",\"PATH\",\"TMPDIR\"],\"" +
                                  FolderOf(function) + "\",[\"0\",\"1\",\"2\"]]");
}

TEST_F(PythonTest, BoundsAWorkersMemory) {
  const auto function = Python(
      "def handle(ctx, payload):\n"
      "    return len(bytearray(payload))\n");
  TargetOf(function).memory_bytes_max = 64 << 20;
  EXPECT_EQ(*Call(function, "1000000").payload, "1000000");
  const Outcome outcome = Call(function, "200000000");
  EXPECT_EQ(TypeOf(outcome), "MemoryError");
  EXPECT_EQ(MessageOf(outcome), "out of memory");
}

}  // namespace
}  // namespace penstock::executor
