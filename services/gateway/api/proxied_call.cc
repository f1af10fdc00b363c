#include "services/gateway/api/proxied_call.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <string_view>
#include <utility>

#include "libs/base/status.h"
#include "libs/http/client.h"
#include "libs/log/log.h"
#include "libs/proxy/routes.h"

namespace penstock::gateway {
namespace {

using http::Progress;
using Result = proxy::Balancer::Result;

constexpr char kNoHealthyServer[] = "NO_HEALTHY_SERVER";

// What a client may know about a failure; addresses are for the log.
struct Failure {
  std::string_view reason;
  int http_status;
  std::string_view text;
  bool was_sent;
};

constexpr Failure kFailures[] = {
    {http::kConnectFailed, 502, "the connection failed", false},
    {http::kConnectTimeout, 504, "the connection was not made in time", false},
    {http::kDnsFailed, 502, "its name cannot be resolved", false},
    {http::kTlsFailed, 502, "the TLS handshake failed", false},
    {http::kQueueFull, 503, "all its connections are in use", false},
    {http::kQueueTimeout, 503, "all its connections are in use", false},
    {http::kConnectionLost, 502, "the connection was lost before an answer", true},
    {http::kResponseTimeout, 504, "it did not answer in time", true},
    {http::kResponseMalformed, 502, "its answer is no valid HTTP", true},
    {http::kCanceled, 503, "the gateway stops", true},
    {kNoHealthyServer, 503, "none of its servers is healthy", false},
};

const Failure& FailureOf(std::string_view reason) {
  for (const Failure& failure : kFailures) {
    if (failure.reason == reason) return failure;
  }
  static constexpr Failure kOther{"UPSTREAM_FAILED", 502, "it failed", true};
  return kOther;
}

bool IsTimeout(std::string_view reason) {
  return reason == http::kResponseTimeout || reason == http::kConnectTimeout;
}

// The server's own word that it cannot serve.
bool IsGatewayError(int status) { return status == 502 || status == 503 || status == 504; }

void LogFailure(const std::string& upstream, const std::string& server,
                const absl::Status& status) {
  static log::Every every{std::chrono::seconds(1)};
  log::Warn(every, "proxied request failed",
            {{"upstream", upstream}, {"server", server}, {"error", status}});
}

}  // namespace

ProxiedCall::ProxiedCall(std::shared_ptr<HttpCall> call,
                         std::shared_ptr<http::StreamExchange> exchange, const ProxyOrder& order)
    : call_(std::move(call)),
      exchange_(std::move(exchange)),
      order_(order),
      upstream_(*order.upstream),
      start_(upstream_.clock().Monotonic()),
      request_id_(call_->RequestId()) {
  const http::Request& request = call_->request;
  is_chunked_ = request.headers.Has("transfer-encoding");
  const std::string_view length = request.headers.Get("content-length");
  if (!length.empty()) {
    std::uint64_t bytes = 0;
    std::from_chars(length.data(), length.data() + length.size(), bytes);
    content_length_ = bytes;
  }
  upgrades_ = proxy::AsksToUpgrade(request);
  // Answers that the gateway gives itself carry the id that the server saw.
  call_->request.headers.Set("X-Request-Id", request_id_);
}

ProxiedCall::~ProxiedCall() {
  if (draining_id_.has_value()) call_->env().tracker.draining()->Unsubscribe(*draining_id_);
}

void ProxiedCall::Start() {
  exchange_->SetCallbacks([self = shared_from_this()] { self->PumpRequest(); },
                          [self = shared_from_this()] { self->OnAnswerWritten(); });
  exchange_->OnClosed([self = shared_from_this()] { self->OnClientGone(); });
  Try();
}

void ProxiedCall::Try() {
  proxy::Balancer& balancer = upstream_.balancer(exchange_->loop());
  server_ = balancer.Pick(upstream_.clock().Monotonic(), tried_);
  if (!server_.has_value()) {
    upstream_.counters().CountFailure(kNoHealthyServer);
    return Fail(WithReason(absl::UnavailableError("no server is healthy"), kNoHealthyServer));
  }
  tried_ |= proxy::AddressSet{1} << *server_;
  if (++tries_ > 1) upstream_.counters().retries.Increment();
  const UpstreamServer& server = upstream_.server(*server_);
  stream_ = upstream_.client().OpenStream(server.target, RequestFor(server), shared_from_this());
  // Events may come, and another try may take its place, inside Start.
  const std::shared_ptr<http::ClientStream> stream = stream_;
  stream->Start();
}

http::ClientStreamRequest ProxiedCall::RequestFor(const UpstreamServer& server) const {
  const http::Request& received = call_->request;
  const ProxyUpstream& options = upstream_.options();
  http::ClientStreamRequest request;
  request.method = received.method;
  request.target =
      order_.prefix_rewrite.empty()
          ? received.target
          : proxy::ReplacePrefix(received.target, order_.path_prefix, order_.prefix_rewrite);
  request.headers = proxy::HeadersForUpstream(
      received,
      {.forwarded = order_.forwarded, .host = server.host, .origin_host = server.authority},
      request_id_, upgrades_);
  request.content_length = content_length_;
  request.is_chunked = is_chunked_;
  request.may_upgrade = upgrades_;
  request.is_idempotent = proxy::IsIdempotent(received.method);
  request.connect_timeout = options.connect_timeout;
  request.response_timeout = options.response_timeout;
  request.idle_timeout = options.idle_timeout;
  return request;
}

void ProxiedCall::OnReady() {
  is_head_sent_ = is_writing_request_ = is_request_done_ = false;
  PumpRequest();
}

void ProxiedCall::PumpRequest() {
  while (!is_over_ && !is_writing_request_ && !is_request_done_) {
    const Progress read = exchange_->ReadPieces(request_pieces_);
    // A client that went away is told of by OnClosed.
    if (read == Progress::kFailed) return;
    if (read == Progress::kPending && is_head_sent_) return;
    is_head_sent_ = true;
    is_writing_request_ = true;
    const Progress written = stream_->Write(request_pieces_);
    // A server that went away is told of by OnFailed; it may have answered before. One that has
    // ended its half of a tunnel and takes no more is told of by nobody.
    is_upstream_deaf_ = is_tunnel_ && written == Progress::kFailed;
    if (is_upstream_deaf_ && is_answer_done_) return Finish();
    if (written != Progress::kDone) return;
    is_writing_request_ = false;
    if (request_pieces_.is_last) OnRequestEnd();
  }
}

void ProxiedCall::OnWritable() {
  is_writing_request_ = false;
  if (request_pieces_.is_last) OnRequestEnd();
  PumpRequest();
}

void ProxiedCall::OnRequestEnd() {
  exchange_->Release();
  is_request_done_ = true;
  if (is_tunnel_ && is_answer_done_) Finish();
}

void ProxiedCall::OnHead(http::ClientStreamHead head) {
  result_ = IsGatewayError(head.status) ? Result::kFailure : Result::kSuccess;
  http::Headers headers = proxy::HeadersForClient(head.headers, request_id_, head.is_tunnel);
  is_answer_begun_ = true;
  Count(head.status);
  if (head.is_tunnel) {
    BeginTunnel(headers);
  } else {
    exchange_->StartPieces({head.status, std::move(headers), head.content_length});
  }
  PumpAnswer();
}

void ProxiedCall::PumpAnswer() {
  while (!is_over_ && !is_writing_answer_ && !is_answer_done_) {
    const Progress read = stream_->Read(answer_pieces_);
    if (read == Progress::kFailed) return;
    // What waits to be sent is sent; the first time this is the head.
    const Progress written = exchange_->WritePieces(answer_pieces_);
    if (written == Progress::kFailed) return;
    is_writing_answer_ = written == Progress::kPending;
    if (is_writing_answer_) return;
    if (answer_pieces_.is_last) OnAnswerEnd();
    if (read == Progress::kPending) return;
  }
}

void ProxiedCall::OnAnswerWritten() {
  is_writing_answer_ = false;
  if (answer_pieces_.is_last) OnAnswerEnd();
  PumpAnswer();
}

void ProxiedCall::OnAnswerEnd() {
  is_answer_done_ = true;
  if (!is_tunnel_ || is_request_done_ || is_upstream_deaf_) Finish();
}

void ProxiedCall::BeginTunnel(const http::Headers& headers) {
  is_tunnel_ = true;
  // The request has ended, but the client speaks on.
  is_request_done_ = false;
  exchange_->StartTunnel(headers);
  draining_id_ = call_->env().tracker.draining()->Subscribe([weak = weak_from_this()] {
    const auto self = weak.lock();
    if (self != nullptr) self->call_->Post([self] { self->EndTunnelOnDrain(); });
  });
  PumpRequest();
}

// A tunnel would never end by itself.
void ProxiedCall::EndTunnelOnDrain() {
  if (!is_over_) Finish();
}

// The answer, or both directions of a tunnel, are complete.
void ProxiedCall::Finish() {
  if (std::exchange(is_over_, true)) return;
  if (is_tunnel_) {
    stream_->Cancel();
    exchange_->Abort();
  } else {
    stream_->Release();
  }
  Judge(result_);
  upstream_.counters().duration.Observe(
      static_cast<double>((upstream_.clock().Monotonic() - start_).count()) / 1e6);
}

void ProxiedCall::OnClientGone() {
  if (std::exchange(is_over_, true)) return;
  if (stream_ != nullptr) stream_->Cancel();
  Judge(result_);
  Count(499);
  // A client that has only ended its sending side would wait, and its connection with it.
  exchange_->Abort();
}

void ProxiedCall::OnFailed(const absl::Status& status) {
  if (is_over_) return;
  const std::string reason = ReasonOf(status);
  const Failure& failure = FailureOf(reason);
  upstream_.counters().CountFailure(failure.reason);
  LogFailure(upstream_.options().name, upstream_.server(*server_).authority, status);
  // That the gateway's own connections are in use says nothing of the server.
  const bool is_own =
      reason == http::kCanceled || reason == http::kQueueFull || reason == http::kQueueTimeout;
  Judge(is_own ? Result::kNeutral : Result::kFailure);
  if (is_answer_begun_) {
    // The client must not take what it has for all.
    is_over_ = true;
    return exchange_->Abort();
  }
  const proxy::FailedTry failed{.is_idempotent = proxy::IsIdempotent(call_->request.method),
                                .has_body = content_length_.value_or(0) > 0 || is_chunked_,
                                .was_sent = failure.was_sent,
                                .was_timeout = IsTimeout(reason),
                                .tries = tries_};
  const bool stops = reason == http::kCanceled;
  if (!stops && proxy::MayRetry(failed, upstream_.options().retries)) return Try();
  Fail(status);
}

void ProxiedCall::Fail(const absl::Status& error) {
  is_over_ = true;
  const Failure& failure = FailureOf(ReasonOf(error));
  const std::string& name = upstream_.options().name;
  const absl::StatusCode code = failure.http_status == 504 ? absl::StatusCode::kDeadlineExceeded
                                                           : absl::StatusCode::kUnavailable;
  Count(failure.http_status);
  call_->Respond(ErrorAnswer(
      failure.http_status,
      WithReason(absl::Status(code, fmt::format("upstream \"{}\": {}", name, failure.text)),
                 failure.reason, {{"upstream", name}})));
}

void ProxiedCall::Judge(Result result) {
  if (!server_.has_value()) return;
  const std::size_t server = *std::exchange(server_, std::nullopt);
  const bool ejected =
      upstream_.balancer(exchange_->loop()).OnEnd(server, result, upstream_.clock().Monotonic());
  if (!ejected) return;
  upstream_.counters().ejections.Increment();
  log::Warn(
      "an upstream's server fails and gets no requests for a time",
      {{"upstream", upstream_.options().name}, {"server", upstream_.server(server).authority}});
}

void ProxiedCall::Count(int status) {
  call_->CountStatus(status);
  upstream_.counters()
      .requests[static_cast<std::size_t>(std::clamp(status / 100, 1, 5))]
      ->Increment();
}

}  // namespace penstock::gateway
