// One operation of the API description: a binding of an RPC.
#pragma once

#include <google/protobuf/descriptor.h>

#include <boost/json/array.hpp>
#include <boost/json/object.hpp>
#include <string>

#include "absl/status/statusor.h"
#include "libs/transcode/route_table.h"
#include "tools/protoc-gen-penstock/openapi_schema.h"

namespace penstock::protoc_gen {

// A path as OpenAPI writes it, "/api/v1/spaces/{space}/functions/{function}:invoke", with its
// parameters.
struct OperationPath {
  std::string text;
  boost::json::array parameters;
};

// The path of a route. Its segments are called what the comments of the fields call them, else
// after the collection before them. INVALID_ARGUMENT for a template that cannot be parsed.
absl::StatusOr<OperationPath> PathOf(const transcode::Route& route);

// "get", "post", …; empty for a method that OpenAPI has no word for.
std::string VerbOf(const transcode::Route& route);

// The name of a service without its ending "Service".
std::string TagName(const google::protobuf::ServiceDescriptor& service);

// Whether the service's package is not released.
bool IsAlpha(const google::protobuf::ServiceDescriptor& service);

boost::json::object OperationOf(const transcode::Route& route, const OperationPath& path,
                                const std::string& id, OpenApiSchemas& schemas);

}  // namespace penstock::protoc_gen
