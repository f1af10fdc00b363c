#include "services/gateway/api/transcoding_proxy.h"

#include <fmt/format.h>

#include <utility>

#include "absl/strings/escaping.h"
#include "libs/base/status.h"
#include "libs/rpc/peer_auth.h"

namespace penstock::gateway {
namespace {

constexpr std::string_view kMetadataPrefix = "Grpc-Metadata-";
// Before ours, it ends a call by the Grpc-Timeout that it gets, and says so.
constexpr std::chrono::milliseconds kGrace{500};

http::ClientRequest RequestFor(const HttpCall& call, const std::string& method,
                               const rpc::CallOptions& options) {
  http::ClientRequest request;
  request.method = method;
  request.idempotent = method == "GET";
  for (const auto& [key, value] : rpc::MetadataOf(options)) {
    request.headers.Add(fmt::format("{}{}", kMetadataPrefix, key),
                        key.ends_with("-bin") ? absl::Base64Escape(value) : value);
  }
  const auto timeout = options.timeout.value_or(rpc::kUnaryTimeoutDefault);
  request.headers.Set("Grpc-Timeout", fmt::format("{}m", timeout.count()));
  request.timeout = timeout + kGrace;
  if (!call.request.body.empty()) {
    request.headers.Set("Content-Type", "application/json");
    request.body = std::make_shared<const std::string>(call.request.body);
  }
  return request;
}

http::Response AnswerOf(http::ClientResponse&& answer, const HeaderRules& rules) {
  http::Response response;
  response.status = answer.status;
  response.body = std::move(answer.body);
  response.headers.Set("Content-Type", answer.headers.Get("Content-Type"));
  AddProxiedMetadata(answer.headers, rules, &response.headers);
  return response;
}

}  // namespace

absl::StatusOr<std::unique_ptr<TranscodingProxy>> TranscodingProxy::Create(http::EventLoops& loops,
                                                                           std::string url) {
  while (url.ends_with('/')) url.pop_back();
  ASSIGN_OR_RETURN(auto client, http::Client::Create(loops, {}));
  return std::unique_ptr<TranscodingProxy>(new TranscodingProxy(std::move(client), std::move(url)));
}

void TranscodingProxy::Call(const std::shared_ptr<HttpCall>& call, const std::string& method,
                            const rpc::CallOptions& options, const HeaderRules& rules) const {
  http::ClientRequest request = RequestFor(*call, method, options);
  request.url = url_ + call->request.target;
  const auto sent = client_->Send(
      std::move(request),
      [call, url = url_, rules = &rules](absl::StatusOr<http::ClientResponse> answer) {
        if (answer.ok()) return call->Respond(AnswerOf(*std::move(answer), *rules));
        call->Fail(absl::Status(
            answer.status().code(),
            fmt::format("transcoding.by ({}): {}", url, std::string(answer.status().message()))));
      });
  // A handle that is kept costs nothing once the call is done: it ends with the request.
  call->cancellation()->Subscribe([sent] { sent->Cancel(); });
}

}  // namespace penstock::gateway
