#include "services/function-executor/domain/redactor.h"

#include <memory>
#include <string>

#include "gtest/gtest.h"

namespace penstock::executor {
namespace {

const Secrets kSecrets = {{"db", {{"password", "hunter22"}, {"pin", "12345"}}},
                          {"tls", {{"key", "line one\nline \"two\""}}}};

TEST(RedactorTest, ReplacesValuesByWhatTheyAre) {
  const Redactor redactor(&kSecrets);
  EXPECT_EQ(redactor.Clean("a hunter22b hunter22"), "a [secret db.password]b [secret db.password]");
  EXPECT_EQ(redactor.Clean("nothing of it, nor 12345"), "nothing of it, nor 12345");
  EXPECT_EQ(redactor.Clean(R"({"k":"line one\nline \"two\""})"), R"({"k":"[secret tls.key]"})");
  EXPECT_EQ(redactor.Clean("line one\nline \"two\"!"), "[secret tls.key]!");
  EXPECT_EQ(redactor.Clean("> line one"), "> [secret tls.key]") << "logs have one line each";
}

TEST(RedactorTest, CleansLogsErrorsAndTheRecordedPayload) {
  Outcome outcome;
  outcome.payload = std::make_shared<const std::string>("\"hunter22\"");
  outcome.logs.out = {"out hunter22"};
  outcome.logs.err = {"hunter22 err"};
  outcome.error = FunctionError{.type = "E", .message = "no hunter22", .stacktrace = {"hunter22"}};
  const Redactor redactor(&kSecrets);
  redactor.CleanWords(&outcome);
  EXPECT_EQ(outcome.logs.out[0], "out [secret db.password]");
  EXPECT_EQ(outcome.logs.err[0], "[secret db.password] err");
  EXPECT_EQ(outcome.error->message, "no [secret db.password]");
  EXPECT_EQ(outcome.error->stacktrace[0], "[secret db.password]");
  EXPECT_EQ(*outcome.payload, "\"hunter22\"") << "the caller gets what the function answers";
  EXPECT_EQ(*redactor.ForRecord(outcome).payload, "\"[secret db.password]\"");
}

TEST(RedactorTest, CleansWhatSignsToo) {
  const SecretValues signing = {{"a", "whsec_c2VjcmV0"}};
  EXPECT_EQ(Redactor(nullptr, &signing).Clean("key whsec_c2VjcmV0"), "key [signing secret a]");
  EXPECT_EQ(Redactor(&kSecrets, &signing).Clean("hunter22"), "[secret db.password]");
}

}  // namespace
}  // namespace penstock::executor
