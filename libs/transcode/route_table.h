// Which RPC a method and path mean, after the google.api.http rules of services.
#pragma once

#include <google/protobuf/descriptor.h>
#include <google/protobuf/message.h>

#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace penstock::transcode {

// A path of fields from a request message down: `function.name` has two.
using FieldPath = std::vector<const google::protobuf::FieldDescriptor*>;

// A variable of a path template.
struct Variable {
  FieldPath field;
  std::string name;       // as written, for example "function.name"
  std::size_t begin = 0;  // first segment that it covers
  std::size_t end = 0;    // one past the last; for a trailing ** it extends to the path's end
  bool to_path_end = false;
  // Covers one segment whatever the path, which decides how it is percent-decoded.
  bool single_segment = true;
};

struct RouteCode;  // route_code.h

// One binding of one RPC: immutable, owned by its RouteTable.
struct Route {
  std::string http_method;    // "GET", or the kind of a custom rule; "*": any
  std::string path_template;  // as annotated
  std::string full_method;    // "/penstock.functions.v1.FunctionManagerService/CreateFunction"
  const google::protobuf::MethodDescriptor* method = nullptr;
  const google::protobuf::Message* request_prototype = nullptr;
  const google::protobuf::Message* response_prototype = nullptr;
  bool client_streaming = false;
  bool server_streaming = false;
  // The request takes no body, the body as a whole, or the body as one field.
  bool body_is_request = false;
  const google::protobuf::FieldDescriptor* body_field = nullptr;
  // The body is the content of a google.api.HttpBody, in place of JSON.
  bool body_is_raw = false;
  bool response_is_raw = false;
  // What the fields of the body are added to, where the query does not set it: the request's
  // `update_mask`, when the route is a PATCH with a message as its body; else null.
  const google::protobuf::FieldDescriptor* update_mask_field = nullptr;
  // Generated code, if there is any.
  const RouteCode* code = nullptr;
  // The field that the response's body is; null for the whole message.
  const google::protobuf::FieldDescriptor* response_body_field = nullptr;
  std::vector<Variable> variables;
};

// One binding of a rule, as it is written in the method's options.
struct Binding {
  const google::protobuf::MethodDescriptor* method = nullptr;
  std::string http_method;  // "GET", or the kind of a custom pattern; "*": any
  std::string path_template;
  std::string body;           // a field, "*", or empty: none
  std::string response_body;  // a field, or empty: the whole message
  const RouteCode* code = nullptr;
  // Makes the messages, and must outlive the table; null: that of what is compiled in.
  google::protobuf::MessageFactory* factory = nullptr;
};

// The bindings of all methods of `services`, additional ones included, in the order of declaration;
// methods without a rule have none. INVALID_ARGUMENT, naming the method, for a rule without a
// pattern and for additional bindings that have additional bindings.
absl::StatusOr<std::vector<Binding>> ReadBindings(
    std::span<const google::protobuf::ServiceDescriptor* const> services);

// The text that a path gave for each variable of its route, still percent-encoded; in the order of
// Route::variables. Refers to the path given to Match.
using PathBindings = std::vector<std::string_view>;

struct MatchResult {
  // Null when nothing matched.
  const Route* route = nullptr;
  PathBindings bindings;
  // When `route` is null: the methods that the path has, sorted. Not empty means 405 with this as
  // Allow; empty means 404.
  std::vector<std::string> allowed_methods;
};

// All routes of a set of services. Thread-safe once built; moving it invalidates no Route.
class RouteTable {
 public:
  // INVALID_ARGUMENT, naming the method, for a malformed template or HTTP method, a rule that names
  // a field that does not exist or does not fit, and, naming both, for two rules that take the same
  // paths with the same method. The bindings may be of several pools.
  static absl::StatusOr<RouteTable> Build(std::span<const Binding> bindings);

  // ReadBindings and Build in one, for services that are compiled in.
  static absl::StatusOr<RouteTable> Build(
      std::span<const google::protobuf::ServiceDescriptor* const> services);

  RouteTable(RouteTable&&) noexcept;
  RouteTable& operator=(RouteTable&&) noexcept;
  ~RouteTable();

  // The route for an HTTP method (upper case) and a path without its query. The most specific
  // template wins: at the first segment where two differ a literal goes before `*`, and that before
  // `**`; a template with a verb goes before one without. A HEAD without a rule of its own takes
  // that of GET; a rule of any method comes last among those of one template.
  MatchResult Match(std::string_view http_method, std::string_view path) const;

  // All routes, one for each binding, in the same order.
  const std::vector<std::unique_ptr<const Route>>& routes() const;

 private:
  struct Tables;
  explicit RouteTable(std::unique_ptr<Tables> tables);

  std::unique_ptr<Tables> tables_;
};

}  // namespace penstock::transcode
