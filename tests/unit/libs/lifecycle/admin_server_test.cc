#include "libs/lifecycle/admin_server.h"

#include <arpa/inet.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include <string>

#include "boost/json.hpp"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "libs/lifecycle/process_config.h"
#include "libs/lifecycle/readiness.h"

namespace penstock::lifecycle {
namespace {

using testing::EndsWith;
using testing::HasSubstr;
using testing::StartsWith;

// Sends one request to a port of this machine; returns the whole answer, or what went wrong.
std::string Ask(std::uint16_t port, const std::string& method, const std::string& target) {
  const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  const timeval limit{10, 0};
  setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(port);
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  std::string answer = "no connection";
  if (connect(fd, reinterpret_cast<const sockaddr*>(&address), sizeof(address)) == 0) {
    const std::string request =
        method + " " + target + " HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";
    answer = send(fd, request.data(), request.size(), MSG_NOSIGNAL) < 0 ? "not sent" : "";
    char bytes[4096];
    ssize_t size = 0;
    while ((size = recv(fd, bytes, sizeof(bytes), 0)) > 0) {
      answer.append(bytes, static_cast<std::size_t>(size));
    }
  }
  close(fd);
  return answer;
}

std::string BodyOf(const std::string& answer) {
  const std::size_t end = answer.find("\r\n\r\n");
  return end == std::string::npos ? "" : answer.substr(end + 4);
}

class AdminServerTest : public testing::Test {
 protected:
  void SetUp() override {
    AdminServerOptions options;
    options.pages["/debug/x"] = [](const http::Request&) {
      return http::Response::Text(200, "page");
    };
    auto server = AdminServer::Start(std::move(options), readiness_, registry_);
    ASSERT_TRUE(server.ok()) << server.status();
    server_ = *std::move(server);
  }

  std::string Get(const std::string& target) { return Ask(server_->port(), "GET", target); }

  Readiness readiness_;
  metrics::Registry registry_;
  std::unique_ptr<AdminServer> server_;
};

TEST_F(AdminServerTest, IsHealthyAndReadyWithoutChecks) {
  EXPECT_THAT(Get("/healthz"), StartsWith("HTTP/1.1 200"));
  EXPECT_THAT(Get("/readyz"), StartsWith("HTTP/1.1 200"));
  EXPECT_THAT(Get("/readyz?verbose"), StartsWith("HTTP/1.1 200"));
}

TEST_F(AdminServerTest, IsReadyOnlyWhenEveryCheckPasses) {
  absl::Status store = absl::UnavailableError("the log is \"closed\"");
  readiness_.Register("store", [&] { return store; });
  readiness_.Register("bus", [] { return absl::OkStatus(); });
  const std::string answer = Get("/readyz");
  EXPECT_THAT(answer, StartsWith("HTTP/1.1 503"));
  EXPECT_THAT(answer, HasSubstr("application/json"));
  const boost::json::object body = boost::json::parse(BodyOf(answer)).as_object();
  EXPECT_EQ(body.at("ready"), false);
  const boost::json::array& checks = body.at("checks").as_array();
  ASSERT_EQ(checks.size(), 2u);
  EXPECT_EQ(checks[0].at("name"), "bus");
  EXPECT_EQ(checks[0].at("ready"), true);
  EXPECT_EQ(checks[1].at("name"), "store");
  EXPECT_EQ(checks[1].at("code"), "UNAVAILABLE");
  EXPECT_EQ(checks[1].at("reason"), "the log is \"closed\"");
  EXPECT_THAT(Get("/healthz"), StartsWith("HTTP/1.1 200"));

  store = absl::OkStatus();
  EXPECT_THAT(Get("/readyz"), StartsWith("HTTP/1.1 200"));
}

TEST_F(AdminServerTest, IsAliveButNotReadyWhileDraining) {
  readiness_.SetDraining();
  const std::string answer = Get("/readyz");
  EXPECT_THAT(answer, StartsWith("HTTP/1.1 503"));
  EXPECT_EQ(boost::json::parse(BodyOf(answer)).at("draining"), true);
  EXPECT_THAT(Get("/healthz"), StartsWith("HTTP/1.1 200"));
}

TEST_F(AdminServerTest, ServesMetrics) {
  registry_.Counter("penstock_test_total", "T.").Increment(4);
  const std::string answer = Get("/metrics");
  EXPECT_THAT(answer, StartsWith("HTTP/1.1 200"));
  EXPECT_THAT(answer, HasSubstr("text/plain; version=0.0.4"));
  EXPECT_THAT(answer, EndsWith("penstock_test_total 4\n"));
}

TEST_F(AdminServerTest, ServesPagesAndRefusesTheRest) {
  EXPECT_THAT(Get("/debug/x"), EndsWith("page"));
  EXPECT_THAT(Get("/"), StartsWith("HTTP/1.1 404"));
  EXPECT_THAT(Get("/healthz/"), StartsWith("HTTP/1.1 404"));
  EXPECT_THAT(Ask(server_->port(), "POST", "/healthz"), StartsWith("HTTP/1.1 405"));
  EXPECT_THAT(Ask(server_->port(), "DELETE", "/nowhere"), StartsWith("HTTP/1.1 404"));
  const std::string head = Ask(server_->port(), "HEAD", "/healthz");
  EXPECT_THAT(head, StartsWith("HTTP/1.1 200"));
  EXPECT_EQ(BodyOf(head), "");
}

TEST_F(AdminServerTest, StopClosesThePortAndMayBeRepeated) {
  const std::uint16_t port = server_->port();
  server_->Stop();
  server_->Stop();
  EXPECT_EQ(Ask(port, "GET", "/healthz"), "no connection");
}

TEST_F(AdminServerTest, APortInUseIsAnErrorThatNamesIt) {
  AdminServerOptions options;
  options.listen.port = server_->port();
  const auto second = AdminServer::Start(std::move(options), readiness_, registry_);
  ASSERT_FALSE(second.ok());
  EXPECT_THAT(std::string(second.status().message()), HasSubstr(std::to_string(server_->port())));
}

TEST(ReadinessTest, ANoteIsReportedAndChangesNothingElse) {
  Readiness readiness;
  std::string note;
  readiness.Register("log", [] { return absl::OkStatus(); });
  readiness.RegisterNote("log", [&note] { return note; });
  EXPECT_EQ(readiness.Evaluate().ToJson().find("notes"), std::string::npos);
  note = "half full";
  const Readiness::Report report = readiness.Evaluate();
  EXPECT_TRUE(report.ready);
  EXPECT_NE(report.ToJson().find(R"("notes":[{"name":"log","note":"half full"}])"),
            std::string::npos)
      << report.ToJson();
  readiness.Unregister("log");
  EXPECT_TRUE(readiness.Evaluate().notes.empty());
}

TEST(ReadinessTest, AnUnregisteredCheckNoLongerCounts) {
  Readiness readiness;
  readiness.Register("a", [] { return absl::InternalError("x"); });
  EXPECT_FALSE(readiness.Evaluate().ready);
  readiness.Unregister("a");
  readiness.Unregister("a");
  EXPECT_TRUE(readiness.Evaluate().ready);
  EXPECT_EQ(readiness.Evaluate().ToJson(), R"({"ready":true,"draining":false,"checks":[]})");
}

TEST(ProcessConfigTest, BindsTheSharedKeysWithTheirBounds) {
  ProcessConfig config;
  config.admin_listen = {"127.0.0.1", 8083};
  config::Binder binder;
  BindProcessConfig(binder, &config);
  config::Problems problems;
  config::Value log = config::Value::Map();
  log.Add("level", config::Value::Scalar("debug"));
  config::Value map = config::Value::Map();
  map.Add("log", log);
  map.Add("admin.listen", config::Value::Scalar("0.0.0.0:9"));
  binder.ReadMap(map, "", problems);
  EXPECT_TRUE(problems.empty());
  EXPECT_EQ(config.log_level, log::Level::kDebug);
  EXPECT_EQ(config.admin_listen.ToString(), "0.0.0.0:9");
  config.shutdown_deadline = std::chrono::milliseconds(0);
  EXPECT_THAT(std::string(binder.CheckValues().message()), HasSubstr("shutdown.deadline"));
}

}  // namespace
}  // namespace penstock::lifecycle
