// The reverse proxy behind a TLS front door, where no byte of an answer leaves at once.
#include <gtest/gtest.h>

#include <atomic>
#include <future>
#include <memory>
#include <utility>

#include "libs/http/client.h"
#include "libs/http/client_stream.h"
#include "tests/contract/gateway/proxy_fixture.h"
#include "tests/unit/libs/http/test_certificate.h"

namespace penstock::gateway {
namespace {

using http::Progress;
using http::RawServer;
using http::RawSocket;

// One GET; tells when the head of the answer came, and then the body, or why there is none.
class Download final : public http::ClientStream::Events,
                       public std::enable_shared_from_this<Download> {
 public:
  explicit Download(std::atomic<bool>& has_head) : has_head_(has_head) {}

  std::future<std::string> Start(http::Client& client, const http::ClientTarget& target) {
    http::ClientStreamRequest request;
    request.method = "GET";
    request.target = "/shop";
    request.headers.Set("Host", "localhost");
    stream_ = client.OpenStream(target, std::move(request), shared_from_this());
    stream_->Start();
    return body_.get_future();
  }

  void OnReady() override {
    http::Pieces none;
    none.is_last = true;
    stream_->Write(none);
  }
  void OnHead(http::ClientStreamHead /*head*/) override {
    has_head_ = true;
    OnReadable();
  }
  void OnReadable() override {
    http::Pieces pieces;
    while (stream_->Read(pieces) == Progress::kDone) {
      for (std::size_t i = 0; i < pieces.count; ++i) text_ += pieces.views[i];
      if (!pieces.is_last) continue;
      stream_->Release();
      return body_.set_value(text_);
    }
  }
  void OnWritable() override {}
  void OnFailed(const absl::Status& status) override { body_.set_value(status.ToString()); }

 private:
  std::atomic<bool>& has_head_;
  std::shared_ptr<http::ClientStream> stream_;
  std::string text_;
  std::promise<std::string> body_;
};

class ProxyTlsTest : public ProxyTest {
 protected:
  void StartTlsGateway() {
    config.http_tls.cert_file = certificates_.server_cert_file();
    config.http_tls.key_file = certificates_.server_key_file();
    config.http_threads = 1;
    StartGateway();
    client_ = *http::Client::Create(loops_, {.tls = {.ca_file = certificates_.ca_file()}});
    target_.emplace(*http::ParseUrl("https://localhost:" + std::to_string(http_port())));
  }
  std::string Fetch(std::atomic<bool>& has_head) {
    std::future<std::string> body;
    loops_.RunAndWait(
        0, [&] { body = std::make_shared<Download>(has_head)->Start(*client_, *target_); });
    return body.get();
  }

  http::TestCertificates certificates_;
  http::EventLoops loops_{{.threads = 1}};
  std::unique_ptr<http::Client> client_;
  std::optional<http::ClientTarget> target_;
};

// What the upstream sends while the head is on its way is read once, whoever asks for it.
TEST_F(ProxyTlsTest, BodiesThatComeBehindTheirHeadArriveWhole) {
  const std::string body = TestBytes(100'000);
  std::atomic<bool> has_head{false};
  RawServer upstream([&](RawSocket& peer, int) {
    while (!peer.ReadUntil("\r\n\r\n").empty()) {
      peer.Send("HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n");
      if (!http::WaitFor([&] { return has_head.load(); })) return;
      peer.Send(std::string_view(body).substr(0, 8192));
      peer.Send(std::string_view(body).substr(8192));
    }
  });
  AddUpstream("shop", {upstream.Url("")});
  StartTlsGateway();
  for (int i = 0; i < 5; ++i) {
    has_head = false;
    EXPECT_EQ(Fetch(has_head), body) << i;
  }
  StopGateway();
}

}  // namespace
}  // namespace penstock::gateway
