// Load from end to end: sources, priorities, problems and the flags that do not run.
#include <unistd.h>

#include <chrono>
#include <cstdint>
#include <cstdio>
#include <fstream>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "libs/base/status.h"
#include "libs/config/binder.h"
#include "libs/config/load.h"
#include "libs/config/version.h"
#include "libs/config/yaml.h"

namespace penstock::config {
namespace {

using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::Not;
using testing::Pair;
using testing::UnorderedElementsAre;
using namespace std::chrono_literals;

enum class Mode { kFast, kSafe };

struct Route {
  std::string path = "/";
  int weight = 1;
  std::vector<std::string> methods;
};

struct TestConfig {
  ListenAddress listen{"127.0.0.1", 8080};
  int connections_max = 100;
  std::uint64_t body_max = 1024 * 1024;
  bool tls = false;
  double ratio = 0.5;
  std::chrono::milliseconds timeout{1500};
  Mode mode = Mode::kSafe;
  std::string name = "default name";
  log::Secret password{"hunter2"};
  std::vector<std::string> allow;
  std::map<std::string, std::string> labels;
  std::vector<Route> routes;
  std::string raw_kind;

  absl::Status Validate() const {
    std::vector<FieldViolation> violations;
    if (mode == Mode::kFast && tls) violations.push_back({"http.mode", "fast excludes http.tls"});
    if (name == "bad") violations.push_back({"name", "must not be \"bad\""});
    return FieldErrors(violations);
  }
};

void Bind(Binder& binder, TestConfig* c) {
  Binder http = binder.Under("http");
  http.Listen("listen", &c->listen, "where to listen");
  http.Int("connections_max", &c->connections_max, "open connections", {1, 1000});
  http.Bytes("body_max", &c->body_max, "largest body", {1, 64 << 20});
  http.Bool("tls", &c->tls, "encrypt");
  http.Double("ratio", &c->ratio, "a ratio", {0, 1});
  http.Duration("timeout", &c->timeout, "how long", {1ms, 10min});
  http.Enum<Mode>("mode", &c->mode, {{"fast", Mode::kFast}, {"safe", Mode::kSafe}}, "a mode");
  binder.String("name", &c->name, "a name");
  binder.Secret("password", &c->password, "a password");
  binder.StringList("egress.allow", &c->allow, "networks");
  binder.StringMap("labels", &c->labels, "labels");
  binder.Structs<Route>("routes", &c->routes, "routes", [](Binder& b, Route* route) {
    b.String("path", &route->path, "a path");
    b.Int("weight", &route->weight, "a weight", {1, 10});
    b.StringList("methods", &route->methods, "methods");
  });
  binder.Raw(
      "raw", "anything",
      [c](const Value& value, const std::string& key, Problems& problems) {
        const Value* const kind = value.Find("kind");
        if (kind == nullptr) {
          problems.Add(value.place, key + ".kind", "is required");
        } else {
          c->raw_kind = kind->text;
        }
      },
      [] { return Value::Null(); });
}

class LoadTest : public testing::Test {
 protected:
  void TearDown() override { std::remove(path_.c_str()); }

  // Writes `yaml` into a file that the next Run reads.
  void File(const std::string& yaml) {
    path_ = testing::TempDir() + "penstock_config_test_" + std::to_string(getpid()) + ".yaml";
    std::ofstream(path_) << yaml;
    flags_.push_back("--config=" + path_);
  }

  Outcome Run(std::vector<std::string> flags = {}) {
    flags.insert(flags.begin(), flags_.begin(), flags_.end());
    std::vector<const char*> argv{"penstock-gateway"};
    for (const std::string& flag : flags) argv.push_back(flag.c_str());
    Binder binder;
    Bind(binder, &config_);
    out_.clear();
    error_.clear();
    return Load({.name = "penstock-gateway", .service = "gateway", .summary = "A front door."},
                static_cast<int>(argv.size()), argv.data(), binder,
                [this] { return config_.Validate(); },
                {.environment = [this](const std::string& name) -> std::optional<std::string> {
                   const auto found = environment_.find(name);
                   if (found == environment_.end()) return std::nullopt;
                   return found->second;
                 },
                 .out = [this](const std::string& text) { out_ += text; },
                 .error = [this](const std::string& text) { error_ += text; }});
  }

  // Runs and expects exit code 2; returns what was printed, with the file's name shortened to F.
  std::string Errors(std::vector<std::string> flags = {}) {
    const Outcome outcome = Run(std::move(flags));
    EXPECT_FALSE(outcome.run);
    EXPECT_EQ(outcome.exit_code, 2);
    std::string text = error_;
    for (std::size_t at = text.find(path_); !path_.empty() && at != std::string::npos;
         at = text.find(path_)) {
      text.replace(at, path_.size(), "F");
    }
    return text;
  }

  TestConfig config_;
  std::map<std::string, std::string> environment_;
  std::vector<std::string> flags_;
  std::string path_;
  std::string out_;
  std::string error_;
};

TEST_F(LoadTest, WithoutSourcesTheDefaultsHold) {
  const Outcome outcome = Run();
  EXPECT_TRUE(outcome.run);
  EXPECT_EQ(config_.connections_max, 100);
  EXPECT_EQ(config_.listen.ToString(), "127.0.0.1:8080");
  EXPECT_EQ(out_ + error_, "");
}

TEST_F(LoadTest, ReadsEveryKindOfValueFromTheFile) {
  File(R"(
http:
  listen: "[::1]:9000"
  connections_max: 7
  body_max: 64KiB
  tls: true
  ratio: 0.25
  timeout: 2s
  mode: safe
name: 8080
password: s3cret
egress:
  allow: [10.0.0.0/8, "192.168.0.0/16"]
labels: {a.b: "1", c: two}
routes:
  - path: /a
    methods: [GET, PUT]
  - {path: /b, weight: 3}
raw: {kind: legacy}
)");
  ASSERT_TRUE(Run().run) << error_;
  EXPECT_EQ(config_.listen, (ListenAddress{"::1", 9000}));
  EXPECT_EQ(config_.connections_max, 7);
  EXPECT_EQ(config_.body_max, 65536u);
  EXPECT_TRUE(config_.tls);
  EXPECT_EQ(config_.ratio, 0.25);
  EXPECT_EQ(config_.timeout, 2000ms);
  EXPECT_EQ(config_.mode, Mode::kSafe);
  EXPECT_EQ(config_.name, "8080");
  EXPECT_EQ(config_.password.Reveal(), "s3cret");
  EXPECT_THAT(config_.allow, ElementsAre("10.0.0.0/8", "192.168.0.0/16"));
  EXPECT_THAT(config_.labels, UnorderedElementsAre(Pair("a.b", "1"), Pair("c", "two")));
  ASSERT_EQ(config_.routes.size(), 2u);
  EXPECT_EQ(config_.routes[0].path, "/a");
  EXPECT_EQ(config_.routes[0].weight, 1);
  EXPECT_THAT(config_.routes[0].methods, ElementsAre("GET", "PUT"));
  EXPECT_EQ(config_.routes[1].weight, 3);
  EXPECT_EQ(config_.raw_kind, "legacy");
}

TEST_F(LoadTest, FlagsWinOverTheEnvironmentWhichWinsOverTheFile) {
  File("http: {connections_max: 1, ratio: 0.1, timeout: 1s}\nname: file\n");
  environment_ = {{"PENSTOCK_HTTP_RATIO", "0.2"},
                  {"PENSTOCK_HTTP_TIMEOUT", "2s"},
                  {"PENSTOCK_GATEWAY_HTTP_TIMEOUT", "3s"},
                  {"PENSTOCK_NAME", "environment"}};
  ASSERT_TRUE(Run({"--name", "flag"}).run) << error_;
  EXPECT_EQ(config_.connections_max, 1);
  EXPECT_EQ(config_.ratio, 0.2);
  EXPECT_EQ(config_.timeout, 3s);
  EXPECT_EQ(config_.name, "flag");
}

TEST_F(LoadTest, AnEmptyVariableCountsAsNotSet) {
  environment_ = {{"PENSTOCK_HTTP_TIMEOUT", ""}};
  EXPECT_TRUE(Run().run);
  EXPECT_EQ(config_.timeout, 1500ms);
}

TEST_F(LoadTest, TheEnvironmentCanNameTheFile) {
  File("name: from the file\n");
  flags_.clear();
  environment_ = {{"PENSTOCK_CONFIG", path_}};
  const Outcome outcome = Run();
  ASSERT_TRUE(outcome.run) << error_;
  EXPECT_EQ(outcome.config_file, path_);
  EXPECT_EQ(config_.name, "from the file");
}

TEST_F(LoadTest, ListsAndMapsFromFlagsAndEnvironment) {
  environment_ = {{"PENSTOCK_EGRESS_ALLOW", "a, b"},
                  {"PENSTOCK_ROUTES", "[{path: /x, weight: 2}]"}};
  ASSERT_TRUE(Run({"--labels=a=1,b=2", "--labels={c: \"3,3\"}", "--egress.allow=c",
                   "--egress.allow=[d, \"e,f\"]"})
                  .run)
      << error_;
  EXPECT_THAT(config_.allow, ElementsAre("c", "d", "e,f"));
  EXPECT_THAT(config_.labels,
              UnorderedElementsAre(Pair("a", "1"), Pair("b", "2"), Pair("c", "3,3")));
  ASSERT_EQ(config_.routes.size(), 1u);
  EXPECT_EQ(config_.routes[0].path, "/x");
}

TEST_F(LoadTest, ABoolFlagNeedsNoValue) {
  ASSERT_TRUE(Run({"--http.tls", "--name", "x"}).run) << error_;
  EXPECT_TRUE(config_.tls);
  EXPECT_EQ(config_.name, "x");
  ASSERT_TRUE(Run({"--http.tls", "false"}).run);
  EXPECT_FALSE(config_.tls);
}

TEST_F(LoadTest, ReportsEveryProblemWithItsPlace) {
  File(R"(http:
  listn: 127.0.0.1:80
  connections_max: 5000
  tls: [yes]
  timeout: soon
  mode: slow
name: a
name: b
listen: x
routes:
  - path: /a
    wieght: 1
  - weight: 11
labels: text
raw: {}
)");
  const std::string errors = Errors();
  EXPECT_THAT(errors,
              HasSubstr("F:2:3: http.listn: unknown key (did you mean \"http.listen\"?)\n"));
  EXPECT_THAT(errors, HasSubstr("F:3:20: http.connections_max: expected an integer from 1 to "
                                "1000, not \"5000\"\n"));
  EXPECT_THAT(errors, HasSubstr("F:4:8: http.tls: expected true or false, not a list\n"));
  EXPECT_THAT(errors, HasSubstr("F:5:12: http.timeout: expected a duration"));
  EXPECT_THAT(errors, HasSubstr("F:6:9: http.mode: expected one of fast, safe, not \"slow\"\n"));
  EXPECT_THAT(errors, HasSubstr("F:8:1: name: is here twice; the first is at line 7\n"));
  EXPECT_THAT(errors, HasSubstr("F:9:1: listen: unknown key (did you mean \"http.listen\"?)\n"));
  EXPECT_THAT(errors,
              HasSubstr("F:12:5: routes[0].wieght: unknown key (did you mean \"weight\"?)\n"));
  EXPECT_THAT(errors, HasSubstr("F:13:13: routes[1].weight: expected an integer from 1 to 10"));
  EXPECT_THAT(errors, HasSubstr("F:14:9: labels: expected a map of strings, not a single value\n"));
  EXPECT_THAT(errors, HasSubstr("F:15:6: raw.kind: is required\n"));
  EXPECT_THAT(errors, HasSubstr("penstock-gateway: the configuration has 11 problems\n"));
}

TEST_F(LoadTest, TheStructsOwnChecksAddProblemsAtTheKeysPlace) {
  File("http:\n  mode: fast\n  tls: true\nname: bad\n");
  EXPECT_THAT(Errors(), AllOf(HasSubstr("F:2:9: http.mode: fast excludes http.tls\n"),
                              HasSubstr("F:4:7: name: must not be \"bad\"\n")));
}

TEST_F(LoadTest, AKeyWithAProblemIsNotReportedAgainByTheStruct) {
  File("http: {tls: true, mode: quick}\n");
  config_.mode = Mode::kFast;
  const std::string errors = Errors();
  EXPECT_THAT(errors, HasSubstr("http.mode: expected one of"));
  EXPECT_THAT(errors, Not(HasSubstr("excludes")));
}

TEST_F(LoadTest, NamesTheVariableOrFlagAtFault) {
  environment_ = {{"PENSTOCK_HTTP_RATIO", "2"}};
  const std::string errors = Errors({"--http.tls=maybe", "--http.timeot=1s", "--name=a", "--name=b",
                                     "stray", "--routes", "--labels=x"});
  EXPECT_THAT(errors, HasSubstr("environment variable PENSTOCK_HTTP_RATIO: http.ratio: expected a "
                                "number from 0 to 1, not \"2\"\n"));
  EXPECT_THAT(errors, HasSubstr("--http.tls: http.tls: expected true or false, not \"maybe\"\n"));
  EXPECT_THAT(errors, HasSubstr("--http.timeot: unknown flag (did you mean --http.timeout?)\n"));
  EXPECT_THAT(errors, HasSubstr("--name: name: is given more than once\n"));
  EXPECT_THAT(errors, HasSubstr("unexpected argument \"stray\"\n"));
  EXPECT_THAT(errors, HasSubstr("--routes: needs a value\n"));
  EXPECT_THAT(errors, HasSubstr("--labels: labels: expected name=value, not \"x\"\n"));
}

TEST_F(LoadTest, AKeySpelledWithDotsAndNestedIsADuplicate) {
  File("http.tls: true\nhttp:\n  tls: false\n");
  EXPECT_THAT(Errors(), HasSubstr("F:3:3: http.tls: is here twice"));
}

TEST_F(LoadTest, BrokenFilesAreProblemsNotCrashes) {
  EXPECT_THAT(Errors({"--config=/nonexistent/x.yaml"}),
              HasSubstr("/nonexistent/x.yaml: cannot be opened: No such file"));
  EXPECT_THAT(Errors({"--config", "/tmp"}), HasSubstr("/tmp: is a folder"));
  File("http:\n  listen: a: b\n");
  EXPECT_THAT(Errors(), HasSubstr("F:2:12: is not valid YAML"));
  File("- a\n- b\n");
  EXPECT_THAT(Errors(), HasSubstr("F:1:1: expected a map of keys, not a list"));
  File("name: a\n---\nname: b\n");
  EXPECT_THAT(Errors(), HasSubstr("expected one document"));
  File("{[a]: b}\n");
  EXPECT_THAT(Errors(), HasSubstr("a key must be a single word"));
  File(std::string(251, 'k') + ": a\n");
  EXPECT_THAT(Errors(), HasSubstr("F:1:1: a key has 251 bytes; expected at most 250"));
  File("name:\n");
  EXPECT_THAT(Errors(), HasSubstr("F:1:1: name: has no value; expected a string"));
}

TEST_F(LoadTest, AnEmptyFileOrSectionIsFine) {
  File("# nothing\n");
  EXPECT_TRUE(Run().run) << error_;
  File("http:\nroutes:\n");
  EXPECT_TRUE(Run().run) << error_;
}

TEST_F(LoadTest, CheckConfigSaysOkOrFails) {
  Outcome outcome = Run({"--check-config"});
  EXPECT_FALSE(outcome.run);
  EXPECT_EQ(outcome.exit_code, 0);
  EXPECT_EQ(out_, "config ok\n");
  outcome = Run({"--check-config", "--http.ratio=3"});
  EXPECT_EQ(outcome.exit_code, 2);
  EXPECT_EQ(out_, "");
}

TEST_F(LoadTest, PrintConfigMasksSecretsAndReadsBackAsTheSame) {
  config_.name = "needs: \"quotes\" # and\nlines";
  config_.labels = {{"k", "true"}, {"~", ""}};
  config_.routes = {{.path = "/a b", .weight = 2, .methods = {"GET"}}, {}};
  const Outcome outcome = Run({"--print-config", "--http.timeout=3s"});
  EXPECT_FALSE(outcome.run);
  EXPECT_EQ(outcome.exit_code, 0);
  EXPECT_THAT(out_, Not(HasSubstr("hunter2")));
  EXPECT_THAT(out_, HasSubstr("password: \"*****\"  # default\n"));
  EXPECT_THAT(out_, HasSubstr("  timeout: 3s  # --http.timeout\n"));
  EXPECT_THAT(out_, HasSubstr("  body_max: 1MiB  # default\n"));

  const TestConfig before = std::exchange(config_, TestConfig());
  // The subtree that the test does not write back is the only one that cannot be read again.
  const std::string yaml = out_.substr(0, out_.find("raw:"));
  File(yaml);
  ASSERT_TRUE(Run().run) << error_ << yaml;
  EXPECT_EQ(config_.name, before.name);
  EXPECT_EQ(config_.labels, before.labels);
  EXPECT_EQ(config_.timeout, 3s);
  ASSERT_EQ(config_.routes.size(), 2u);
  EXPECT_EQ(config_.routes[0].path, "/a b");
  EXPECT_THAT(config_.routes[0].methods, ElementsAre("GET"));
}

TEST_F(LoadTest, HelpListsEveryKeyAndHidesSecrets) {
  EXPECT_EQ(Run({"--help", "--nonsense"}).exit_code, 0);
  EXPECT_THAT(out_, HasSubstr("penstock-gateway: A front door."));
  EXPECT_THAT(out_, HasSubstr("http.connections_max: an integer from 1 to 1000 (default 100)\n"
                              "      open connections\n"));
  EXPECT_THAT(out_, HasSubstr("routes[].weight: an integer from 1 to 10 (default 1)"));
  EXPECT_THAT(out_, HasSubstr("PENSTOCK_GATEWAY_A_B"));
  EXPECT_THAT(out_, Not(HasSubstr("hunter2")));
}

TEST_F(LoadTest, VersionPrintsAndLeaves) {
  const Outcome outcome = Run({"--version"});
  EXPECT_FALSE(outcome.run);
  EXPECT_EQ(out_, "penstock-gateway " + std::string(Version()) + "\n");
}

TEST(BinderTest, ChecksFieldsThatWereSetDirectly) {
  TestConfig config;
  Binder binder;
  Bind(binder, &config);
  EXPECT_TRUE(binder.CheckValues().ok());
  config.connections_max = 0;
  config.timeout = 0ms;
  config.listen.address = "nowhere";
  config.routes.resize(2);
  config.routes[1].weight = 99;
  std::vector<std::string> fields;
  for (const FieldViolation& violation : FieldViolationsOf(binder.CheckValues())) {
    fields.push_back(violation.field);
  }
  EXPECT_THAT(fields, UnorderedElementsAre("http.connections_max", "http.timeout", "http.listen",
                                           "routes[1].weight"));
}

}  // namespace
}  // namespace penstock::config
