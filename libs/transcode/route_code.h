// Generated code for routes: what tools/protoc-gen-penstock writes for the google.api.http rules of
// a file enters itself here.
//
// As with JSON codecs (libs/protojson/codec.h), code knows only right requests: on any other, and
// on what it would rather not decide, it gives up, and the reflection path does the whole work
// again. Results and error texts are the same with and without.
#pragma once

#include <google/protobuf/message.h>

#include <cstddef>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/container/inlined_vector.h"
#include "absl/status/statusor.h"
#include "libs/protojson/codec.h"
#include "libs/transcode/route_table.h"

namespace penstock::transcode {

// The fields of a request that have their value: a query parameter must not set them again.
class SetFields {
 public:
  bool Has(const google::protobuf::Message* message, int number) const {
    for (const auto& field : fields_) {
      if (field == std::pair(message, number)) return true;
    }
    return false;
  }
  // False when the field was marked before.
  bool Mark(const google::protobuf::Message* message, int number) {
    if (Has(message, number)) return false;
    fields_.emplace_back(message, number);
    return true;
  }

 private:
  absl::InlinedVector<std::pair<const google::protobuf::Message*, int>, 8> fields_;
};

// One binding of one RPC. Functions get messages of the generated classes of its request or
// response only, and are thread-safe; false gives up.
struct RouteCode {
  std::string_view method;  // "penstock.functions.v1.FunctionManagerService.GetFunction"
  // As in Binding.
  std::string_view http_method;
  std::string_view path_template;
  std::string_view body;
  std::string_view response_body;
  // Reads the JSON body to its place in the empty request; null when the rule has no JSON body, or
  // one that is no message.
  bool (*read_body)(std::string_view json, google::protobuf::Message* request);
  // Sets the field `name` (a path of fields in either spelling) from plain text that is decoded.
  bool (*set_field)(std::string_view name, std::string_view text,
                    google::protobuf::Message* request, SetFields& set);
  // Writes the response's body; null when it is neither a message nor a list of messages.
  bool (*write_body)(const google::protobuf::Message& response, protojson::CodecOutput& out);
};

// Enters the code for a service, which must live as long as the process. Thread-safe; may be called
// before main.
void RegisterRoutes(std::string_view service, std::span<const RouteCode> routes);

// The bindings of services by full name, with their code. INTERNAL naming the service whose code is
// not linked in.
absl::StatusOr<std::vector<Binding>> GeneratedBindings(std::span<const char* const> services);

}  // namespace penstock::transcode
