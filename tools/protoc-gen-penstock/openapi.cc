#include "tools/protoc-gen-penstock/openapi.h"

#include <fmt/format.h>
#include <google/protobuf/dynamic_message.h>

#include <boost/json/parse.hpp>
#include <boost/json/serialize.hpp>
#include <boost/json/value.hpp>
#include <map>
#include <set>
#include <string>
#include <utility>

#include "libs/base/status.h"
#include "libs/transcode/route_table.h"
#include "tools/protoc-gen-penstock/doc_comment.h"
#include "tools/protoc-gen-penstock/openapi_operation.h"
#include "tools/protoc-gen-penstock/openapi_schema.h"

namespace penstock::protoc_gen {
namespace {

namespace json = boost::json;
using google::protobuf::Descriptor;
using google::protobuf::DescriptorPool;
using google::protobuf::FileDescriptor;
using google::protobuf::ServiceDescriptor;

constexpr std::string_view kSchemaRef = "#/components/schemas/";

// The object called `name` in `parent`, made when it is missing; null when it is something else.
json::object* ObjectIn(json::object& parent, std::string_view name) {
  json::value& value = parent[name];
  if (value.is_null()) value.emplace_object();
  return value.if_object();
}

// Adds the messages that a part written by hand refers to.
absl::Status AddReferred(const json::value& part, const DescriptorPool& pool,
                         OpenApiSchemas& schemas) {
  if (const auto* list = part.if_array()) {
    for (const json::value& element : *list) RETURN_IF_ERROR(AddReferred(element, pool, schemas));
  }
  if (const auto* object = part.if_object()) {
    for (const auto& [name, value] : *object) {
      RETURN_IF_ERROR(AddReferred(value, pool, schemas));
      if (name != "$ref" || !value.is_string()) continue;
      const std::string_view ref = value.as_string();
      if (!ref.starts_with(kSchemaRef)) continue;
      const std::string type(ref.substr(kSchemaRef.size()));
      if (schemas.Has(type)) continue;
      const Descriptor* message = pool.FindMessageTypeByName(type);
      if (message == nullptr) return FieldError("base", fmt::format("no such message: {}", type));
      schemas.Of(*message);
    }
  }
  return absl::OkStatus();
}

// A path without the names of its parameters: what makes it another path.
std::string Shape(std::string_view path) {
  std::string shape;
  bool in_name = false;
  for (const char c : path) {
    if (c == '}') in_name = false;
    if (!in_name) shape += c;
    if (c == '{') in_name = true;
  }
  return shape;
}

// All paths of a document so far, each under one set of names.
class PathNames {
 public:
  explicit PathNames(const json::object& paths) {
    for (const auto& [path, item] : paths) Check(path).IgnoreError();
  }

  absl::Status Check(std::string_view path) {
    const auto [at, is_new] = by_shape_.emplace(Shape(path), path);
    if (is_new || at->second == path) return absl::OkStatus();
    return absl::InvalidArgumentError(fmt::format(
        "the comments of fields call the segments of one path {} and {}", at->second, path));
  }

 private:
  std::map<std::string, std::string> by_shape_;
};

json::object TagOf(const ServiceDescriptor& service) {
  std::string description = CommentOf(service);
  if (IsAlpha(service)) description += " Not released yet: it may change, or answer with 501.";
  return {{"name", TagName(service)}, {"description", description}};
}

}  // namespace

absl::StatusOr<std::string> OpenApiDocument(const std::vector<const FileDescriptor*>& files,
                                            std::string_view base, std::string_view version) {
  std::vector<const ServiceDescriptor*> services;
  for (const FileDescriptor* file : files) {
    for (int i = 0; i < file->service_count(); ++i) services.push_back(file->service(i));
  }
  ASSIGN_OR_RETURN(auto bindings, transcode::ReadBindings(services));
  google::protobuf::DynamicMessageFactory factory;
  for (transcode::Binding& binding : bindings) binding.factory = &factory;
  ASSIGN_OR_RETURN(const auto table, transcode::RouteTable::Build(bindings));

  json::error_code error;
  json::value parsed = json::parse(base, error);
  if (error || !parsed.is_object()) return FieldError("base", "expected a JSON object");
  json::object& document = parsed.as_object();
  // All are there before one is pointed to: an object that grows moves what is in it.
  for (const char* name : {"info", "paths", "components", "tags"}) document.emplace(name, nullptr);
  json::object* info = ObjectIn(document, "info");
  json::object* paths = ObjectIn(document, "paths");
  json::object* components = ObjectIn(document, "components");
  json::object* written = components == nullptr ? nullptr : ObjectIn(*components, "schemas");
  if (info == nullptr || paths == nullptr || written == nullptr) {
    return FieldError("base", "expected objects as info, paths and components.schemas");
  }
  (*info)["version"] = version;
  OpenApiSchemas schemas(*written);
  if (!files.empty()) RETURN_IF_ERROR(AddReferred(parsed, *files.front()->pool(), schemas));

  PathNames names(*paths);
  std::set<const ServiceDescriptor*> described;
  std::set<std::string> ids;
  for (const auto& route : table.routes()) {
    const std::string verb = VerbOf(*route);
    if (verb.empty()) continue;  // a method that OpenAPI has no word for
    ASSIGN_OR_RETURN(const OperationPath path, PathOf(*route));
    RETURN_IF_ERROR(names.Check(path.text));
    json::object* item = ObjectIn(*paths, path.text);
    if (item == nullptr || item->contains(verb)) {
      return FieldError("base", fmt::format("has {} {}, which is also a rule of {}",
                                            route->http_method, path.text, route->full_method));
    }
    std::string id = TagName(*route->method->service()) + "_" + route->method->name();
    for (int i = 2; !ids.insert(id).second; ++i) {
      id = fmt::format("{}_{}_{}", TagName(*route->method->service()), route->method->name(), i);
    }
    (*item)[verb] = OperationOf(*route, path, id, schemas);
    described.insert(route->method->service());
  }
  json::array tags;
  for (const ServiceDescriptor* service : services) {
    if (described.contains(service)) tags.push_back(TagOf(*service));
  }
  document["tags"] = std::move(tags);
  *written = schemas.Take();
  return json::serialize(parsed);
}

}  // namespace penstock::protoc_gen
