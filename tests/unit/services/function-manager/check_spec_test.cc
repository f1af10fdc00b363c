#include "services/function-manager/domain/check_spec.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <functional>
#include <string>
#include <vector>

#include "libs/base/status.h"
#include "tests/unit/services/function-manager/sample.h"

namespace penstock::functions {
namespace {

using testing::HasSubstr;

// Fields of the violations, in order.
std::vector<std::string> FieldsOf(const absl::Status& status) {
  std::vector<std::string> fields;
  for (const FieldViolation& violation : FieldViolationsOf(status))
    fields.push_back(violation.field);
  return fields;
}

FunctionSpec Exec(const std::string& source, std::vector<std::string> command) {
  FunctionSpec spec;
  ProcessDriver process;
  process.runtime = "exec";
  process.source = source;
  process.command = std::move(command);
  spec.driver = process;
  return spec;
}

FunctionSpec Changed(FunctionSpec spec, const std::function<void(FunctionSpec&)>& change) {
  change(spec);
  return spec;
}

FunctionSpec ChangedPython(const std::function<void(ProcessDriver&)>& change) {
  return Changed(PythonSpec(), [&](FunctionSpec& s) { change(std::get<ProcessDriver>(s.driver)); });
}

FunctionSpec WithHeader(const std::string& name, const std::string& value) {
  return Changed(HttpSpec(),
                 [&](FunctionSpec& s) { std::get<HttpDriver>(s.driver).headers[name] = value; });
}

struct Case {
  std::string what;
  FunctionSpec spec;
  std::string field;  // Empty: accepted.
  std::string text;   // Part of the message.
};

void PrintTo(const Case& given, std::ostream* out) { *out << given.what; }

class CheckSpecTest : public testing::TestWithParam<Case> {};

TEST_P(CheckSpecTest, AcceptsOrNamesTheField) {
  FunctionSpec spec = GetParam().spec;
  FillDefaults(spec);
  const absl::Status status = CheckSpec(spec);
  if (GetParam().field.empty()) {
    EXPECT_EQ(status, absl::OkStatus());
    return;
  }
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(FieldsOf(status), (std::vector<std::string>{GetParam().field}));
  EXPECT_THAT(std::string(status.message()), HasSubstr(GetParam().text));
  EXPECT_THAT(std::string(status.message()), testing::StartsWith(GetParam().field + ": "));
}

const std::string kSource512 = std::string(kSourceBytesMax, 'x');

INSTANTIATE_TEST_SUITE_P(
    Http, CheckSpecTest,
    testing::Values(
        Case{"plain", HttpSpec("http://127.0.0.1:9999/"), "", ""},
        Case{"tls, query, upper case", HttpSpec("HTTPS://Example.org/a%20b?c=d&e"), "", ""},
        Case{"ipv6", HttpSpec("http://[::1]:80"), "", ""},
        Case{"longest", HttpSpec("http://h/" + std::string(2039, 'a')), "", ""},
        Case{"empty", HttpSpec(""), "function.http.url", "is required"},
        Case{"relative", HttpSpec("/path"), "function.http.url", "is not an absolute URL"},
        Case{"no scheme", HttpSpec("example.org"), "function.http.url", "not an absolute URL"},
        Case{"ftp", HttpSpec("ftp://h/"), "function.http.url", "\"ftp://h/\" is not an http"},
        Case{"file", HttpSpec("file:///etc/passwd"), "function.http.url", "not an http or https"},
        Case{"no host", HttpSpec("http:///x"), "function.http.url", "names no host"},
        Case{"port only", HttpSpec("http://:80/"), "function.http.url", "names no host"},
        Case{"opaque", HttpSpec("http:example"), "function.http.url", "names no host"},
        Case{"port 0", HttpSpec("http://h:0/"), "function.http.url", "port"},
        Case{"port too large", HttpSpec("http://h:65536/"), "function.http.url", "port"},
        Case{"user", HttpSpec("http://u:p@h/"), "function.http.url", "user or password"},
        Case{"fragment", HttpSpec("http://h/#x"), "function.http.url", "fragment"},
        Case{"space", HttpSpec("http://h/a b"), "function.http.url", "not an absolute URL"},
        Case{"line break", HttpSpec("http://h/\r\nX: y"), "function.http.url", "not an absolute"},
        Case{"bad escape", HttpSpec("http://h/%zz"), "function.http.url", "not an absolute URL"},
        Case{"not ascii", HttpSpec("http://h/é"), "function.http.url", "not an absolute URL"},
        Case{"too long", HttpSpec("http://h/" + std::string(2040, 'a')), "function.http.url",
             "has 2049 characters: expected at most 2048"},
        Case{"header", WithHeader("X-Api-Key", "a\tb"), "", ""},
        Case{"header name", WithHeader("X Y", "a"), "function.http.headers", "\"X Y\" is not"},
        Case{"hop by hop", WithHeader("Transfer-Encoding", "a"), "function.http.headers",
             "belongs to the connection"},
        Case{"header injection", WithHeader("X", "a\r\nY: b"), "function.http.headers[\"X\"]",
             "control characters"},
        Case{"header twice",
             Changed(WithHeader("x-a", "1"),
                     [](FunctionSpec& s) { std::get<HttpDriver>(s.driver).headers["X-A"] = "2"; }),
             "function.http.headers", "is there twice"},
        Case{"headers",
             Changed(HttpSpec(),
                     [](FunctionSpec& s) {
                       for (int i = 0; i < 33; ++i) {
                         std::get<HttpDriver>(s.driver).headers["X" + std::to_string(i)];
                       }
                     }),
             "function.http.headers", "has 33 headers: expected at most 32"}));

INSTANTIATE_TEST_SUITE_P(
    Process, CheckSpecTest,
    testing::Values(
        Case{"python", PythonSpec(), "", ""},
        Case{"largest source", PythonSpec(kSource512), "", ""},
        Case{"source too large", PythonSpec(kSource512 + "x"), "function.process.source",
             "has 524289 bytes: expected at most 524288"},
        Case{"default handler", ChangedPython([](auto& p) { p.handler.clear(); }), "", ""},
        Case{"ruby", ChangedPython([](auto& p) { p.runtime = "ruby"; }), "function.process.runtime",
             "\"ruby\" is not a runtime: expected python3, node or exec"},
        Case{"no runtime", ChangedPython([](auto& p) { p.runtime.clear(); }),
             "function.process.runtime", "is required"},
        Case{"no source", PythonSpec(""), "function.process.source", "is required"},
        Case{"handler", ChangedPython([](auto& p) { p.handler = "os.system('x')"; }),
             "function.process.handler", "is not the name of a function"},
        Case{"command for python", ChangedPython([](auto& p) { p.command = {"/bin/sh"}; }),
             "function.process.command", "only for runtime \"exec\""},
        Case{"exec script", Exec("#!/bin/sh\n", {}), "", ""},
        Case{"exec command", Exec("", {"/bin/cat", "-"}), "", ""},
        Case{"exec nothing", Exec("", {}), "function.process", "exactly one of source and command"},
        Case{"exec both", Exec("#!/bin/sh", {"/bin/cat"}), "function.process", "exactly one"},
        Case{"exec without #!", Exec("echo", {}), "function.process.source", "starts with"},
        Case{"relative program", Exec("", {"cat"}), "function.process.command", "absolute path"},
        Case{"zero byte", Exec("", {"/bin/cat", std::string("a\0b", 3)}),
             "function.process.command", "zero byte"},
        Case{"exec handler",
             Changed(Exec("#!/bin/sh", {}),
                     [](FunctionSpec& s) { std::get<ProcessDriver>(s.driver).handler = "h"; }),
             "function.process.handler", "is not for runtime \"exec\""},
        Case{"no workers", ChangedPython([](auto& p) { p.max_workers = -1; }),
             "function.process.max_workers", "is -1: expected 1 to 64"},
        Case{"too many workers", ChangedPython([](auto& p) { p.max_workers = 65; }),
             "function.process.max_workers", "is 65"},
        Case{"little memory", ChangedPython([](auto& p) { p.max_memory_bytes = (16 << 20) - 1; }),
             "function.process.max_memory_bytes", "expected 16777216 to"},
        Case{"much memory",
             ChangedPython([](auto& p) { p.max_memory_bytes = (std::int64_t{1} << 40) + 1; }),
             "function.process.max_memory_bytes", "expected 16777216 to"},
        Case{"large output", ChangedPython([](auto& p) { p.max_output_bytes = (6 << 20) + 1; }),
             "function.process.max_output_bytes", "expected 1 to 6291456"},
        Case{"idle", ChangedPython([](auto& p) { p.idle_timeout = Microseconds(-1); }),
             "function.process.idle_timeout", "expected 1ms to 24h"},
        Case{"kept workers", ChangedPython([](auto& p) { p.min_workers = p.max_workers; }), "", ""},
        Case{"more kept than allowed",
             ChangedPython([](auto& p) { p.min_workers = p.max_workers + 1; }),
             "function.process.min_workers", "is 5: expected 0 to max_workers, which is 4"},
        Case{"calls", ChangedPython([](auto& p) { p.max_calls = 1'000'001; }),
             "function.process.max_calls", "expected 1 to 1000000"},
        Case{"CPU time", ChangedPython([](auto& p) { p.max_cpu_time = Microseconds(9'999); }),
             "function.process.max_cpu_time", "expected 10ms to 15m"},
        Case{"open files", ChangedPython([](auto& p) { p.max_open_files = 127; }),
             "function.process.max_open_files", "expected 128 to 65536"}));

FunctionSpec Uploaded(const std::string& digest, const std::string& entry = "",
                      const std::string& runtime = "python3") {
  return ChangedPython([&](ProcessDriver& p) {
    p.runtime = runtime;
    p.source.clear();
    p.source_digest = digest;
    p.entry = entry;
    if (runtime == "exec") p.handler.clear();
  });
}

const std::string kDigest(64, 'a');

INSTANTIATE_TEST_SUITE_P(
    Sources, CheckSpecTest,
    testing::Values(
        Case{"one file", Uploaded(kDigest), "", ""},
        Case{"an archive", Uploaded(kDigest, "src/main.py"), "", ""},
        Case{"a program", Uploaded(kDigest, "", "exec"), "", ""},
        Case{"a program of an archive", Uploaded(kDigest, "bin/run", "exec"), "", ""},
        Case{"a command in an archive",
             Changed(Uploaded(kDigest, "", "exec"),
                     [](auto& s) {
                       std::get<ProcessDriver>(s.driver).command = {"/usr/bin/perl", "main.pl"};
                     }),
             "", ""},
        Case{"entry and command",
             Changed(Uploaded(kDigest, "run", "exec"),
                     [](auto& s) { std::get<ProcessDriver>(s.driver).command = {"/bin/sh"}; }),
             "function.process.entry", "must not be set together with command"},
        Case{"upper case", Uploaded(std::string(64, 'A')), "function.process.source_digest",
             "expected 64 lower-case hexadecimal digits"},
        Case{"source and digest", ChangedPython([](auto& p) { p.source_digest = kDigest; }),
             "function.process.source_digest", "must not be set together with source"},
        Case{"entry alone", ChangedPython([](auto& p) { p.entry = "main.py"; }),
             "function.process.entry", "expected a source_digest beside it"},
        Case{"absolute", Uploaded(kDigest, "/etc/passwd"), "function.process.entry",
             "is not a path inside the archive"},
        Case{"upwards", Uploaded(kDigest, "a/../../b"), "function.process.entry",
             "is not a path inside the archive"},
        Case{"a folder", Uploaded(kDigest, "a/"), "function.process.entry",
             "is not a path inside the archive"}));

INSTANTIATE_TEST_SUITE_P(
    Common, CheckSpecTest,
    testing::Values(
        Case{"noop", NoopSpec(), "", ""},
        Case{"no driver", FunctionSpec(), "function", "exactly one driver is required"},
        Case{"shortest", Changed(NoopSpec(), [](auto& s) { s.timeout = kTimeoutMin; }), "", ""},
        Case{"longest", Changed(NoopSpec(), [](auto& s) { s.timeout = kTimeoutMax; }), "", ""},
        Case{"too short", Changed(NoopSpec(), [](auto& s) { s.timeout = Microseconds(999); }),
             "function.timeout", "is 999us: expected 1ms to 15m"},
        Case{"too long",
             Changed(NoopSpec(), [](auto& s) { s.timeout = kTimeoutMax + Microseconds(1); }),
             "function.timeout", "expected 1ms to 15m"},
        Case{"negative", Changed(NoopSpec(), [](auto& s) { s.timeout = Microseconds(-5); }),
             "function.timeout", "is negative"},
        Case{"concurrency", Changed(NoopSpec(), [](auto& s) { s.max_concurrency = -1; }),
             "function.max_concurrency", "is -1"},
        Case{"description",
             Changed(NoopSpec(),
                     [](auto& s) {
                       for (int i = 0; i < 1024; ++i) s.description += "é";
                     }),
             "", ""},
        Case{"long description",
             Changed(NoopSpec(), [](auto& s) { s.description = std::string(1025, 'x'); }),
             "function.description", "has 1025 characters: expected at most 1024"},
        Case{"metadata",
             Changed(NoopSpec(),
                     [](auto& s) {
                       for (int i = 0; i < 65; ++i) s.metadata[std::to_string(i)];
                     }),
             "function.metadata", "has 65 entries: expected at most 64"},
        Case{"metadata key", Changed(NoopSpec(), [](auto& s) { s.metadata[std::string(64, 'k')]; }),
             "function.metadata", "expected 1 to 63 characters"},
        Case{"empty key", Changed(NoopSpec(), [](auto& s) { s.metadata[""] = "x"; }),
             "function.metadata", "\"\" is not a key"},
        Case{"metadata value",
             Changed(NoopSpec(), [](auto& s) { s.metadata["k"] = std::string(1025, 'v'); }),
             "function.metadata[\"k\"]", "expected at most 1024"},
        Case{"environment of http", Changed(HttpSpec(), [](auto& s) { s.environment["A"] = "1"; }),
             "function.environment", "is only for process functions"},
        Case{"environment", Changed(PythonSpec(), [](auto& s) { s.environment["A_1"] = "1"; }), "",
             ""},
        Case{"variable", Changed(PythonSpec(), [](auto& s) { s.environment["A=B"] = "1"; }),
             "function.environment", "\"A=B\" is not the name of a variable"},
        Case{"zero in variable",
             Changed(PythonSpec(), [](auto& s) { s.environment["A"] = std::string(1, '\0'); }),
             "function.environment[\"A\"]", "zero byte"},
        Case{"schema",
             Changed(NoopSpec(), [](auto& s) { s.input_schema = R"({"type":"object"})"; }), "", ""},
        Case{"bad schema",
             Changed(NoopSpec(), [](auto& s) { s.input_schema = R"({"items":{"type":"x"}})"; }),
             "function.input_schema", "at /items/type: expected null, boolean"},
        Case{"schema in a circle",
             Changed(NoopSpec(), [](auto& s) { s.output_schema = R"({"$ref":"#"})"; }),
             "function.output_schema", "without going into the value"},
        Case{"large schema",
             Changed(NoopSpec(), [](auto& s) { s.output_schema = std::string(65537, ' '); }),
             "function.output_schema", "takes 65537 bytes: expected at most 65536"},
        Case{"attempts of asynchronous calls",
             Changed(NoopSpec(), [](auto& s) { s.async.max_attempts = 1001; }),
             "function.async.max_attempts", "expected 1 to 1000"},
        Case{"delays of asynchronous calls",
             Changed(NoopSpec(), [](auto& s) { s.async.max_delay = Microseconds(1); }),
             "function.async.max_delay", "expected initial_delay to 24h"},
        Case{"two destinations in one",
             Changed(NoopSpec(),
                     [](auto& s) {
                       s.async.on_success = {"f", "a.b"};
                     }),
             "function.async.on_success", "exactly one of function and event_type"},
        Case{"reserved type as a destination",
             Changed(NoopSpec(),
                     [](auto& s) {
                       s.async.on_failure = {"", "penstock.x"};
                     }),
             "function.async.on_failure.event_type", "reserved"},
        Case{"callback that is no URL",
             Changed(NoopSpec(), [](auto& s) { s.async.callback_url = "ftp://x"; }),
             "function.async.callback_url", "not an http or https URL"},
        Case{"a signing secret that is no id",
             Changed(HttpSpec(),
                     [](auto& s) { std::get<HttpDriver>(s.driver).signing_secret = "No Id"; }),
             "function.http.signing_secret", "No Id"},
        Case{"a signing secret of callbacks that is no id",
             Changed(NoopSpec(), [](auto& s) { s.async.callback_signing_secret = "a/b"; }),
             "function.async.callback_signing_secret", "a/b"},
        Case{"large environment",
             Changed(PythonSpec(), [](auto& s) { s.environment["A"] = std::string(32766, 'x'); }),
             "function.environment", "takes 32769 bytes: expected at most 32768"},
        Case{"many variables",
             Changed(PythonSpec(),
                     [](auto& s) {
                       for (int i = 0; i < 129; ++i) {
                         s.environment["A" + std::to_string(i)];
                       }
                     }),
             "function.environment", "has 129 variables: expected at most 128"}));

TEST(CheckSpecAllTest, ReportsAllProblemsTogether) {
  FunctionSpec spec = HttpSpec("x");
  spec.timeout = Microseconds(0);
  spec.max_concurrency = -1;
  EXPECT_EQ(FieldsOf(CheckSpec(spec)),
            (std::vector<std::string>{"function.timeout", "function.max_concurrency",
                                      "function.http.url"}));
}

}  // namespace
}  // namespace penstock::functions
