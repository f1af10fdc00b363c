#include "services/gateway/api/web_rpc.h"

#include <fmt/format.h>

#include <algorithm>
#include <string_view>
#include <utility>

#include "libs/base/status.h"
#include "libs/rpc/metadata.h"
#include "services/gateway/api/web_input.h"
#include "services/gateway/api/web_metadata.h"
#include "services/gateway/domain/reserved_paths.h"

namespace penstock::gateway {
namespace {

using webrpc::Codec;
using webrpc::Protocol;

bool IsName(std::string_view text) {
  return !text.empty() && std::all_of(text.begin(), text.end(), [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' ||
           c == '.';
  });
}

// "acme.v1.Users/Get" of a path; empty when it is no such path.
std::string_view MethodIn(std::string_view path) {
  if (!path.starts_with('/') || IsReservedPath(path)) return {};
  path.remove_prefix(1);
  const std::size_t slash = path.find('/');
  if (slash == std::string_view::npos) return {};
  const bool is_method = IsName(path.substr(0, slash)) && IsName(path.substr(slash + 1));
  return is_method ? path : std::string_view();
}

// 415, with what is served in its place.
http::Response UnsupportedMedia(std::string_view why, std::string_view accepts) {
  http::Response response = http::Response::Text(415, std::string(why) + "\n");
  response.headers.Set("Accept-Post", accepts);
  return response;
}

http::Response NoGet() {
  http::Response response = http::Response::Text(
      405, "GET is for methods with idempotency_level NO_SIDE_EFFECTS; expected POST\n");
  response.headers.Set("Allow", "POST");
  return response;
}

constexpr std::string_view kUnaryTypes =
    "application/proto, application/json, application/grpc-web+proto, "
    "application/grpc-web-text+proto";
constexpr std::string_view kStreamTypes =
    "application/connect+proto, application/connect+json, application/grpc-web+proto, "
    "application/grpc-web-text+proto";
constexpr std::string_view kBinaryTypes =
    "application/proto, application/connect+proto, application/grpc-web+proto, "
    "application/grpc-web-text+proto";

}  // namespace

WebRpc::Found WebRpc::Find(std::string_view method, std::string_view authority) const {
  Found found;
  if (!deps_.targets.routes().Allows(method)) return found;
  found.target = deps_.targets.Find(method, authority);
  // Another server of the suite's contracts speaks the same messages.
  if (found.target != nullptr && OwnerOf(method)) {
    found.types = CompiledTypes(method);
    return found;
  }
  UserMethod service = deps_.services.FindMethod(method);
  if (service.method == nullptr) return found;
  found.types = {service.types, service.method, service.request_prototype,
                 service.response_prototype};
  found.service = std::move(service);
  return found;
}

std::optional<WebRpc::Shape> WebRpc::ShapeOf(const http::Request& request) const {
  const std::string_view method = MethodIn(request.path());
  if (method.empty()) return std::nullopt;
  const bool says_connect = request.headers.Has("Connect-Protocol-Version");
  Shape shape;
  shape.method = method;
  bool says_v1 = false;
  if (request.method == "GET") {
    const auto version = webrpc::GetVersion(request.query());
    if (!version) return std::nullopt;
    shape.is_get = true;
    says_v1 = *version == "v1";
  } else if (request.method == "POST") {
    const auto type = webrpc::ParseContentType(request.headers.Get("Content-Type"));
    if (type) shape.protocol = type->protocol;
    if (type) shape.codec = type->codec;
    shape.wants_text =
        shape.protocol == Protocol::kGrpcWeb &&
        request.headers.Get("Accept").find("application/grpc-web-text") != std::string_view::npos;
  } else {
    return std::nullopt;
  }
  shape.found = Find(method, request.headers.Get("Host"));
  // Paths like these may be a route's as well: a bare message, and what is none, is ours where the
  // method is.
  const bool is_ours =
      says_connect || says_v1 || shape.protocol != Protocol::kConnect ||
      (shape.codec == Codec::kProto ? shape.found.is_known() : shape.found.types.method != nullptr);
  return is_ours ? std::optional(std::move(shape)) : std::nullopt;
}

bool WebRpc::Fail(const std::shared_ptr<HttpCall>& call, const absl::Status& error) const {
  const auto shape = ShapeOf(call->request);
  if (!shape) return false;
  call->set_surface(Surface::kWebRpc);
  call->Respond(ErrorResponseOf(shape->form(), OutcomeOf(error)));
  return true;
}

bool WebRpc::Handle(const std::shared_ptr<HttpCall>& call) const {
  auto shape = ShapeOf(call->request);
  if (!shape) return false;
  call->set_surface(Surface::kWebRpc);
  const MethodTypes& types = shape->found.types;
  const auto fail = [&](const absl::Status& error) {
    call->Respond(ErrorResponseOf(shape->form(), OutcomeOf(error)));
    return true;
  };
  if (shape->is_get) {
    auto query = MessageOfGet(call->request);
    if (!query.ok()) return fail(query.status());
    shape->codec = webrpc::ParseCodec(query->codec);
    call->request.body = std::move(query->message);
  }
  const bool streams = types.method != nullptr && types.method->server_streaming();
  const std::string_view accepts = types.method == nullptr ? kBinaryTypes
                                   : streams               ? kStreamTypes
                                                           : kUnaryTypes;
  if (!shape->codec) {
    call->Respond(UnsupportedMedia("the codec of the content is not known", accepts));
    return true;
  }
  if (const absl::Status checked = CheckCall(*call, *shape); !checked.ok()) return fail(checked);
  if (shape->codec == Codec::kJson && types.method == nullptr) {
    call->Respond(UnsupportedMedia(
        "JSON needs the service's descriptors, which transcoding.services names", accepts));
    return true;
  }
  const bool is_connect =
      shape->protocol == Protocol::kConnect || shape->protocol == Protocol::kConnectStream;
  if (is_connect && types.method != nullptr && streams == shape->form().is_bare()) {
    call->Respond(UnsupportedMedia(
        streams ? "the method answers with a stream" : "the method answers with one message",
        accepts));
    return true;
  }
  if (shape->is_get &&
      (types.method == nullptr || types.method->options().idempotency_level() !=
                                      google::protobuf::MethodOptions::NO_SIDE_EFFECTS)) {
    call->Respond(NoGet());
    return true;
  }
  auto request = RequestOf(*call, *shape);
  if (!request.ok()) return fail(request.status());
  StartWebCall({.call = call,
                .form = shape->form(),
                .types = types,
                .request = *std::move(request),
                .target = shape->found.target,
                .service = shape->found.service});
  return true;
}

absl::Status WebRpc::CheckCall(const HttpCall& call, const Shape& shape) const {
  const http::Headers& headers = call.request.headers;
  const Found& found = shape.found;
  if (!found.is_known()) return absl::UnimplementedError("Unknown method");
  // As /api, which is the same in REST; users' services are as open as their REST forms.
  if (found.target != nullptr && OwnerOf(shape.method)) {
    RETURN_IF_ERROR(deps_.guard.Check({.host = headers.Get("Host"),
                                       .origin = headers.Get("Origin"),
                                       .sec_fetch_site = headers.Get("Sec-Fetch-Site")}));
    if (found.types.method == nullptr) return absl::UnimplementedError("Unknown method");
  }
  RETURN_IF_ERROR(CheckVersion(headers));
  if (found.types.method != nullptr && found.types.method->client_streaming()) {
    return absl::UnimplementedError(
        fmt::format("{}: the client streams, which needs gRPC over HTTP/2: call it on the gRPC "
                    "port (grpc.listen, 8082)",
                    shape.method));
  }
  return absl::OkStatus();
}

absl::StatusOr<UpstreamRequest> WebRpc::RequestOf(HttpCall& call, const Shape& shape) const {
  UpstreamRequest request;
  request.method = shape.method;
  ASSIGN_OR_RETURN(request.timeout, TimeoutOf(call.request.headers, shape.protocol));
  std::string message;
  if (shape.is_get) {
    message = std::move(call.request.body);
  } else {
    ASSIGN_OR_RETURN(message, MessageOf(call.request, shape.protocol));
  }
  ASSIGN_OR_RETURN(request.message,
                   ReadRequest(*shape.codec, shape.found.types, std::move(message)));
  // The key to this gateway stays here; other credentials pass.
  if (!call.principal.empty()) deps_.authenticator.RemoveKey(call.request.headers);
  ASSIGN_OR_RETURN(request.metadata, MetadataOfRequest(call.request.headers));
  if (!call.principal.empty()) {
    request.metadata.emplace_back(rpc::kPrincipalKey, call.principal);
    if (shape.found.target != nullptr && shape.found.target->is_suite) {
      request.metadata.emplace_back(rpc::kPeerTokenKey, std::string(deps_.peer_auth->token()));
    }
  }
  return request;
}

}  // namespace penstock::gateway
