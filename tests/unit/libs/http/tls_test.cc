#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <openssl/ssl.h>

#include <filesystem>
#include <memory>
#include <string>

#include "libs/base/status.h"
#include "tests/unit/libs/http/http_fixture.h"
#include "tests/unit/libs/http/test_certificate.h"

namespace penstock::http {
namespace {

using namespace std::chrono_literals;
using testing::HasSubstr;

class TlsTest : public HttpFixture {
 protected:
  void ServeTls(ServerTls tls) {
    ServerOptions options;
    options.limits.body_bytes_max = 16 * 1024 * 1024;
    options.tls = std::move(tls);
    Serve(
        [](Request request, std::shared_ptr<Exchange> exchange) {
          if (request.target == "/stream") {
            exchange->StartStream(200, {});
            exchange->Write("one,", nullptr);
            exchange->Write("two", nullptr);
            return exchange->End();
          }
          const std::string answer = fmt::format("{} {}", request.is_tls, request.body);
          exchange->Respond(Response::Text(200, answer));
        },
        options);
  }
  ServerTls Plain() {
    return {.cert_file = certificates_.server_cert_file(),
            .key_file = certificates_.server_key_file()};
  }
  std::string TlsUrl(const char* host, const char* target = "/") {
    return fmt::format("https://{}:{}{}", host, server_->port(), target);
  }

  // One that trusts this authority; it keeps its connection, on loop 0.
  std::unique_ptr<Client> MakeClientOf(const std::string& ca_file) {
    auto client =
        Client::Create(loops_, {.connections_per_host_max = 1, .tls = {.ca_file = ca_file}});
    EXPECT_TRUE(client.ok()) << client.status();
    return *std::move(client);
  }
  absl::Status StatusOf(Client& client) {
    Outcome outcome;
    loops_.Post(0, [&] { client.Send({.url = TlsUrl("localhost")}, outcome.Capture()); });
    return outcome.Wait().status();
  }

  TestCertificates certificates_;
};

TEST_F(TlsTest, CarriesRequestsBothWays) {
  ServeTls(Plain());
  MakeClient({.connections_per_host_max = 1, .tls = {.ca_file = certificates_.ca_file()}});
  const auto body = std::make_shared<const std::string>(std::string(3'000'000, 't'));
  for (const char* host : {"localhost", "127.0.0.1"}) {
    const auto response = Send({.method = "POST", .url = TlsUrl(host), .body = body});
    ASSERT_TRUE(response.ok()) << response.status();
    EXPECT_TRUE(response->body == "true " + *body);
  }
  const auto stream = Send({.url = TlsUrl("localhost", "/stream")});
  ASSERT_TRUE(stream.ok()) << stream.status();
  EXPECT_EQ(stream->body, "one,two");
}

TEST_F(TlsTest, ReusesConnections) {
  ServeTls(Plain());
  MakeClient({.tls = {.ca_file = certificates_.ca_file()}});
  for (int i = 0; i < 5; ++i) {
    Outcome outcome;
    loops_.Post(0, [&] { client_->Send({.url = TlsUrl("localhost")}, outcome.Capture()); });
    ASSERT_TRUE(outcome.Wait().ok());
  }
  EXPECT_EQ(server_->Stats().connections_total, 1U);
}

TEST_F(TlsTest, ClosesWhenAsked) {
  ServeTls(Plain());
  MakeClient({.tls = {.ca_file = certificates_.ca_file()}});
  ASSERT_TRUE(Send({.url = TlsUrl("localhost")}).ok());
  EXPECT_TRUE(server_->Drain(kTestDeadline));
}

TEST_F(TlsTest, RefusesAnAuthorityThatIsNotTrusted) {
  ServeTls(Plain());
  MakeClient();
  const absl::Status status = Send({.url = TlsUrl("localhost")}).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kUnavailable);
  EXPECT_EQ(ReasonOf(status), kTlsFailed) << status;
  EXPECT_THAT(std::string(status.message()), HasSubstr("certificate"));
}

TEST_F(TlsTest, RefusesACertificateForAnotherName) {
  ServeTls(
      {.cert_file = certificates_.other_cert_file(), .key_file = certificates_.other_key_file()});
  MakeClient({.tls = {.ca_file = certificates_.ca_file()}});
  for (const char* host : {"localhost", "127.0.0.1"}) {
    EXPECT_EQ(ReasonOf(Send({.url = TlsUrl(host)}).status()), kTlsFailed) << host;
  }
}

TEST_F(TlsTest, AcceptsAnythingWhenToldTo) {
  ServeTls(
      {.cert_file = certificates_.other_cert_file(), .key_file = certificates_.other_key_file()});
  MakeClient({.tls = {.verify_peer = false}});
  EXPECT_TRUE(Send({.url = TlsUrl("localhost")}).ok());
}

TEST_F(TlsTest, DemandsAClientCertificateWhenConfigured) {
  ServerTls tls = Plain();
  tls.client_ca_file = certificates_.ca_file();
  ServeTls(tls);
  MakeClient({.tls = {.ca_file = certificates_.ca_file()}});
  EXPECT_FALSE(Send({.url = TlsUrl("localhost")}).ok());
  MakeClient({.tls = {.ca_file = certificates_.ca_file(),
                      .cert_file = certificates_.client_cert_file(),
                      .key_file = certificates_.client_key_file()}});
  const auto response = Send({.url = TlsUrl("localhost")});
  EXPECT_TRUE(response.ok()) << response.status();
}

TEST_F(TlsTest, ResumesTheSessionsOfClientsWithCertificates) {
  ServerTls tls = Plain();
  tls.client_ca_file = certificates_.ca_file();
  ServeTls(tls);
  const std::unique_ptr<SSL_CTX, decltype(&SSL_CTX_free)> context(SSL_CTX_new(TLS_client_method()),
                                                                  &SSL_CTX_free);
  // There a session is complete with its handshake.
  SSL_CTX_set_max_proto_version(context.get(), TLS1_2_VERSION);
  SSL_CTX_use_certificate_chain_file(context.get(), certificates_.client_cert_file().c_str());
  SSL_CTX_use_PrivateKey_file(context.get(), certificates_.client_key_file().c_str(),
                              SSL_FILETYPE_PEM);
  std::unique_ptr<SSL_SESSION, decltype(&SSL_SESSION_free)> session(nullptr, &SSL_SESSION_free);
  for (const bool resumes : {false, true}) {
    const RawSocket socket = RawSocket::Connect(server_->port());
    const std::unique_ptr<SSL, decltype(&SSL_free)> ssl(SSL_new(context.get()), &SSL_free);
    SSL_set_fd(ssl.get(), socket.fd());
    if (resumes) SSL_set_session(ssl.get(), session.get());
    ASSERT_EQ(SSL_connect(ssl.get()), 1) << resumes;
    EXPECT_EQ(SSL_session_reused(ssl.get()) == 1, resumes);
    session.reset(SSL_get1_session(ssl.get()));
    SSL_shutdown(ssl.get());  // A session that ends without it is not to be resumed.
  }
}

TEST_F(TlsTest, AnUpdateIsForNewConnections) {
  ServeTls(Plain());
  const TestCertificates renewed;
  std::unique_ptr<Client> before = MakeClientOf(certificates_.ca_file());
  std::unique_ptr<Client> after = MakeClientOf(renewed.ca_file());
  ASSERT_TRUE(StatusOf(*before).ok());
  EXPECT_EQ(ReasonOf(StatusOf(*after)), kTlsFailed);
  // Renewed at the same path.
  const auto copy = std::filesystem::copy_options::overwrite_existing;
  std::filesystem::copy_file(renewed.server_cert_file(), Plain().cert_file, copy);
  const auto mismatch = server_->PrepareUpdate({}, {}, Plain());
  ASSERT_FALSE(mismatch.ok()) << "the key is not the certificate's";
  EXPECT_THAT(std::string(mismatch.status().message()), HasSubstr(Plain().key_file));
  std::filesystem::copy_file(renewed.server_key_file(), Plain().key_file, copy);
  const auto update = server_->PrepareUpdate({}, {}, Plain());
  ASSERT_TRUE(update.ok()) << update.status();
  EXPECT_EQ(ReasonOf(StatusOf(*after)), kTlsFailed) << "nothing is exchanged yet";
  (*update)();
  EXPECT_TRUE(StatusOf(*after).ok());
  EXPECT_TRUE(StatusOf(*before).ok()) << "an open connection goes on";
}

TEST_F(TlsTest, AHandshakeThatStallsEnds) {
  RawServer silent([](RawSocket& peer, int) { peer.ReadAll(); });
  MakeClient();
  const absl::Status status =
      Send({.url = fmt::format("https://127.0.0.1:{}/", silent.port()), .connect_timeout = 50ms})
          .status();
  EXPECT_EQ(ReasonOf(status), kConnectTimeout) << status;
  RawServer nonsense([](RawSocket& peer, int) {
    peer.Send("HTTP/1.1 400 Bad Request\r\n\r\n");
    peer.ReadAll();
  });
  EXPECT_EQ(ReasonOf(Send({.url = fmt::format("https://127.0.0.1:{}/", nonsense.port())}).status()),
            kTlsFailed);
}

TEST_F(TlsTest, TheServerGivesUpOnAStalledHandshake) {
  ServerOptions options;
  options.tls = Plain();
  options.timeouts.header_read = 50ms;
  ServeEcho(options);
  RawSocket socket = Connect();
  EXPECT_EQ(socket.ReadAll(), "");
}

TEST_F(TlsTest, NamesTheFileAtFault) {
  const Handler handler = [](Request, std::shared_ptr<Exchange>) {};
  ServerOptions options;
  options.tls = {.cert_file = "/nonexistent/cert.pem", .key_file = "/nonexistent/key.pem"};
  const absl::Status server = Server::Start(loops_, options, handler).status();
  EXPECT_THAT(std::string(server.message()), HasSubstr("/nonexistent/cert.pem"));
  const absl::Status client =
      Client::Create(loops_, {.tls = {.ca_file = "/nonexistent/ca.pem"}}).status();
  EXPECT_THAT(std::string(client.message()), HasSubstr("/nonexistent/ca.pem"));
}

}  // namespace
}  // namespace penstock::http
