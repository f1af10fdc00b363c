// A call that an HTTP request means, whichever services it is for.
#pragma once

#include <google/protobuf/message.h>
#include <grpcpp/channel.h>

#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "libs/http/message.h"
#include "libs/rpc/call_options.h"
#include "libs/rpc/wire_unary.h"
#include "libs/transcode/route_table.h"
#include "services/gateway/api/http_call.h"
#include "services/gateway/api/http_metadata.h"

namespace penstock::gateway {

struct TranscodedCall {
  std::shared_ptr<HttpCall> call;
  // Holds the types of all messages; destroyed after them.
  std::shared_ptr<const transcode::Route> route;
  // One, or what a client streams.
  std::vector<std::unique_ptr<google::protobuf::Message>> requests;
  std::shared_ptr<grpc::Channel> channel;
  // Where it is set, it makes the call instead when one message goes each way. Must outlive the
  // call.
  rpc::UnaryCaller* caller = nullptr;
  rpc::CallOptions options;
  // Adds to an error which service it is about.
  std::function<absl::Status(const absl::Status&)> named;
  // Must outlive the call.
  const HeaderRules* header_rules = nullptr;
};

// Whether the request may have this body: INVALID_ARGUMENT naming Content-Type when a body for JSON
// does not say that it is JSON (or lines of JSON, for a client stream).
absl::Status CheckContentType(const transcode::Route& route, const http::Request& request);

// The request messages of `request`, whose raw body is of `content_type`.
absl::StatusOr<std::vector<std::unique_ptr<google::protobuf::Message>>> RequestsOf(
    const transcode::MatchResult& match, const http::Request& request,
    std::string_view content_type);

// 405 with Allow. `allowed` is as MatchResult has it.
http::Response MethodNotAllowed(const http::Request& request,
                                const std::vector<std::string>& allowed);

// The one answer of a call.
struct OneAnswer {
  // With an error, the service is named.
  absl::Status status;
  std::shared_ptr<google::protobuf::Message> message;
  // The answer in HTTP: body and headers, when `status` is OK.
  http::Response response;
  // Of the trailing metadata.
  std::string revision;
};

// Makes a call whose answer is one message. To be called on the request's loop; `done` runs there,
// once.
void CallForOne(TranscodedCall order, std::function<void(OneAnswer)> done);

}  // namespace penstock::gateway
