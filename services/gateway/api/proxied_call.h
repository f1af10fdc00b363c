// One request that the reverse proxy passes on.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>

#include "libs/http/client_stream.h"
#include "libs/http/pieces.h"
#include "libs/http/server.h"
#include "libs/proxy/balancer.h"
#include "libs/proxy/forwarding.h"
#include "services/gateway/api/http_call.h"
#include "services/gateway/api/proxy_upstream.h"

namespace penstock::gateway {

// How a request is passed on; outlives it.
struct ProxyOrder {
  UpstreamPool* upstream = nullptr;
  proxy::ForwardedFields forwarded = proxy::ForwardedFields::kAppend;
  // Both empty: the target stays as it is.
  std::string path_prefix;
  std::string prefix_rewrite;
};

// Moves the bodies between the client's connection and the server's, a piece at a time and without
// copying: a side is read only when the other has taken what was read before. On the request's loop
// only; lives until the answer is complete or one of the two is gone.
class ProxiedCall final : public http::ClientStream::Events,
                          public std::enable_shared_from_this<ProxiedCall> {
 public:
  ProxiedCall(std::shared_ptr<HttpCall> call, std::shared_ptr<http::StreamExchange> exchange,
              const ProxyOrder& order);
  ~ProxiedCall() override;

  void Start();

  void OnReady() override;
  void OnHead(http::ClientStreamHead head) override;
  void OnReadable() override { PumpAnswer(); }
  void OnWritable() override;
  void OnFailed(const absl::Status& status) override;

 private:
  void Try();
  http::ClientStreamRequest RequestFor(const UpstreamServer& server) const;
  void PumpRequest();
  void PumpAnswer();
  void OnAnswerWritten();
  void OnClientGone();
  void OnRequestEnd();
  void OnAnswerEnd();
  void BeginTunnel(const http::Headers& headers);
  void EndTunnelOnDrain();
  void Judge(proxy::Balancer::Result result);
  void Fail(const absl::Status& error);
  void Finish();
  void Count(int status);

  const std::shared_ptr<HttpCall> call_;
  const std::shared_ptr<http::StreamExchange> exchange_;
  const ProxyOrder& order_;
  UpstreamPool& upstream_;
  const MonotonicTime start_;
  std::string request_id_;
  // Of the request's body.
  std::optional<std::uint64_t> content_length_;
  bool is_chunked_ = false;
  bool upgrades_ = false;

  std::shared_ptr<http::ClientStream> stream_;
  // The server of the present try, and what is known of how it does.
  std::optional<std::size_t> server_;
  proxy::Balancer::Result result_ = proxy::Balancer::Result::kNeutral;
  proxy::AddressSet tried_ = 0;
  int tries_ = 0;

  // What was read from the client and is being sent to the server, and the other way around.
  http::Pieces request_pieces_;
  http::Pieces answer_pieces_;
  bool is_head_sent_ = false;
  bool is_writing_request_ = false;
  bool is_writing_answer_ = false;
  bool is_request_done_ = false;
  bool is_answer_begun_ = false;
  bool is_answer_done_ = false;
  bool is_tunnel_ = false;
  bool is_upstream_deaf_ = false;  // Takes no more of a tunnel.
  bool is_over_ = false;
  std::optional<std::uint64_t> draining_id_;
};

}  // namespace penstock::gateway
