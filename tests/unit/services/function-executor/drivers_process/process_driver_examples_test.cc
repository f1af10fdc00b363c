// The examples of docs/process-functions.md that need no compiler. tests/e2e/local_functions.py
// deploys all of them.
#include <gtest/gtest.h>

#include <cstdlib>
#include <string>

#include "tests/unit/services/function-executor/drivers_process/process_fixture.h"

namespace penstock::executor {
namespace {

struct Example {
  std::string interpreter;
  std::string language;
  std::string file;
};

class ProcessExamplesTest : public ProcessDriverFixture,
                            public testing::WithParamInterface<Example> {};

TEST_P(ProcessExamplesTest, SpeaksTheLineProtocol) {
  const Example& example = GetParam();
  const std::string look = "PATH=/usr/local/bin:/usr/bin:/bin which " + example.interpreter;
  if (std::system((look + " >/dev/null").c_str()) != 0) {
    GTEST_SKIP() << "this machine has no " << example.interpreter;
  }
  const Spec function = Script("");
  TargetOf(function).command = {PENSTOCK_EXAMPLES "/" + example.language + "/" + example.file};
  const Outcome greeted = Call(function, R"({"name":"Ada"})");
  EXPECT_EQ(MessageOf(greeted), "");
  EXPECT_NE(greeted.payload->find("\"Ada\""), std::string::npos) << *greeted.payload;
  EXPECT_NE(greeted.payload->find('"' + example.language + '"'), std::string::npos);
  EXPECT_EQ(greeted.logs.err, std::vector<std::string>{"greeting Ada"});
  const Outcome blamed = Call(function, "{}");
  EXPECT_EQ(TypeOf(blamed), "NoName");
  EXPECT_EQ(blamed.error->category, ErrorCategory::kInput);
}

INSTANTIATE_TEST_SUITE_P(Languages, ProcessExamplesTest,
                         testing::Values(Example{"python3", "python", "greet.py"},
                                         Example{"node", "node", "greet.js"},
                                         Example{"perl", "perl", "greet.pl"}));

}  // namespace
}  // namespace penstock::executor
