#include "services/function-manager/domain/check_middleware.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <ostream>
#include <string>
#include <vector>

namespace penstock::functions {
namespace {

using testing::HasSubstr;

struct Case {
  std::string steps;
  std::string field{};  // Empty: accepted.
  std::string text{};   // Part of the description.
};

void PrintTo(const Case& given, std::ostream* out) { *out << given.steps.substr(0, 80); }

class CheckMiddlewareTest : public testing::TestWithParam<Case> {};

TEST_P(CheckMiddlewareTest, AcceptsOrNamesTheField) {
  std::vector<FieldViolation> violations;
  CheckMiddleware("middleware", GetParam().steps, violations);
  if (GetParam().field.empty()) {
    EXPECT_TRUE(violations.empty()) << violations[0].field << ": " << violations[0].description;
    return;
  }
  ASSERT_EQ(violations.size(), 1U);
  EXPECT_EQ(violations[0].field, GetParam().field);
  EXPECT_THAT(violations[0].description, HasSubstr(GetParam().text));
}

std::string Times(const std::string& step, int count) {
  std::string list;
  for (int i = 0; i < count; ++i) list += (i == 0 ? "[" : ",") + step;
  return list + "]";
}

INSTANTIATE_TEST_SUITE_P(
    Good, CheckMiddlewareTest,
    testing::Values(
        Case{""}, Case{R"([{"timeout":{"timeout":"0.001s"}},{"timeout":{"timeout":"900s"}}])"},
        Case{R"([{"retry":{}},{"breaker":{}},{"cache":{}},{"idempotency":{}},{"log":{}}])"},
        Case{R"([{"retry":{"maxAttempts":10,"initialBackoff":"60s","maxBackoff":"300s",)"
             R"("categories":["SystemError"],"httpStatuses":[503]}}])"},
        Case{R"([{"rateLimit":{"rate":0.5,"burst":1,"header":"X-Tenant"}}])"},
        Case{R"([{"rateLimit":{"rate":5,"pointer":"/a~1b/~0"}}])"},
        Case{R"([{"cache":{"keyPointers":["","/a"],"ttl":"86400s","maxEntries":100000}}])"},
        Case{R"([{"log":{"redact":["/a/*/b"],"bodies":"NONE"}}])"},
        Case{R"([{"transform":{"before":".a"}},{"transform":{"after":"."}}])"},
        Case{R"([{"grpc":{"target":"localhost:9000"}},{"grpc":{"target":"dns:///[::1]:1"}}])"},
        Case{R"([{"grpc":{"target":"https://a:1"}}])"}, Case{Times(R"({"log":{}})", 16)}));

INSTANTIATE_TEST_SUITE_P(
    Bad, CheckMiddlewareTest,
    testing::Values(
        Case{Times(R"({"log":{}})", 17), "middleware", "has 17 steps: expected at most 16"},
        Case{"[not JSON]", "middleware", "JSON cannot hold"},
        Case{"[{}]", "middleware[0]", "expected one of timeout, retry, rate_limit"},
        Case{R"([{"log":{}},{"timeout":{}}])", "middleware[1].timeout.timeout", "is required"},
        Case{R"([{"timeout":{"timeout":"901s"}}])", "middleware[0].timeout.timeout", "1ms to 15m"},
        Case{R"([{"timeout":{"timeout":"0s"}}])", "middleware[0].timeout.timeout", "1ms to 15m"},
        Case{R"([{"log":{}},{"log":{}},{"retry":{"maxAttempts":11}}])",
             "middleware[2].retry.max_attempts", "is 11: expected 2 to 10"},
        Case{R"([{"retry":{"initialBackoff":"-1s"}}])", "middleware[0].retry.initial_backoff",
             "1ms to 1m"},
        Case{R"([{"retry":{"maxBackoff":"301s"}}])", "middleware[0].retry.max_backoff", "5m"},
        Case{R"([{"retry":{"categories":["SystemError","Timeout"]}}])",
             "middleware[0].retry.categories[1]", "\"Timeout\" is no category"},
        Case{R"([{"retry":{"httpStatuses":[200]}}])", "middleware[0].retry.http_statuses[0]",
             "is 200: expected 400 to 599"},
        Case{R"([{"rateLimit":{}}])", "middleware[0].rate_limit.rate", "is required"},
        Case{R"([{"rateLimit":{"rate":-1}}])", "middleware[0].rate_limit.rate", "is -1"},
        Case{R"([{"rateLimit":{"rate":"NaN"}}])", "middleware[0].rate_limit.rate", "is \"NaN\""},
        Case{R"([{"rateLimit":{"rate":1,"burst":-1}}])", "middleware[0].rate_limit.burst", "is -1"},
        Case{R"([{"rateLimit":{"rate":1,"header":"a b"}}])", "middleware[0].rate_limit.header",
             "is not the name of a header"},
        Case{R"([{"rateLimit":{"rate":1,"pointer":"id"}}])", "middleware[0].rate_limit.pointer",
             "is not a JSON Pointer"},
        Case{R"([{"breaker":{"failures":1001}}])", "middleware[0].breaker.failures", "1 to 1000"},
        Case{R"([{"breaker":{"openFor":"0.001s"}}])", "middleware[0].breaker.open_for", "10ms"},
        Case{R"([{"cache":{"ttl":"86401s"}}])", "middleware[0].cache.ttl", "10ms to 24h"},
        Case{R"([{"cache":{"maxEntries":100001}}])", "middleware[0].cache.max_entries", "100000"},
        Case{R"([{"cache":{"keyPointers":["/a","~"]}}])", "middleware[0].cache.key_pointers[1]",
             "is not a JSON Pointer"},
        Case{R"([{"idempotency":{"ttl":"0.5s"}}])", "middleware[0].idempotency.ttl", "1s to 24h"},
        Case{R"([{"idempotency":{"maxKeys":-5}}])", "middleware[0].idempotency.max_keys", "is -5"},
        Case{R"([{"log":{"redact":["/a~"]}}])", "middleware[0].log.redact[0]", "JSON Pointer"},
        Case{R"([{"log":{"bodies":9}}])", "middleware[0].log.bodies", "ALL, FAILURES or NONE"},
        Case{R"([{"transform":{}}])", "middleware[0].transform", "before, after or both"},
        Case{R"([{"transform":{"before":")" + std::string(16 * 1024 + 1, '.') + R"("}}])",
             "middleware[0].transform.before", "at most 16384"},
        Case{R"([{"grpc":{}}])", "middleware[0].grpc.target", "is required"},
        Case{R"([{"grpc":{"target":"http://a/b"}}])", "middleware[0].grpc.target", "host:port"},
        Case{R"([{"grpc":{"target":"a:70000"}}])", "middleware[0].grpc.target", "host:port"},
        Case{R"([{"grpc":{"target":"a:1","timeout":"61s"}}])", "middleware[0].grpc.timeout",
             "1ms to 1m"}));

}  // namespace
}  // namespace penstock::functions
