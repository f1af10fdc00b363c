#include "tools/protoc-gen-penstock/openapi_operation.h"

#include <google/protobuf/descriptor.pb.h>

#include <algorithm>
#include <array>
#include <boost/json/value.hpp>
#include <set>
#include <string_view>
#include <utility>
#include <vector>

#include "libs/base/status.h"
#include "libs/protojson/read_well_known.h"
#include "libs/protojson/type_info.h"
#include "libs/transcode/path_template.h"
#include "tools/protoc-gen-penstock/doc_comment.h"

namespace penstock::protoc_gen {
namespace {

namespace json = boost::json;
using google::protobuf::Descriptor;
using google::protobuf::FieldDescriptor;
using google::protobuf::MethodDescriptor;
using google::protobuf::ServiceDescriptor;
using transcode::Route;
using Kind = transcode::TemplateSegment::Kind;

constexpr std::string_view kJson = "application/json";
constexpr std::string_view kJsonLines = "application/x-ndjson";
constexpr std::string_view kEventStream = "text/event-stream";

// What one of a collection is called: "functions" is "function", "policies" is "policy".
std::string Singular(const std::string& plural) {
  if (plural.ends_with("ies")) return plural.substr(0, plural.size() - 3) + "y";
  return plural.ends_with('s') ? plural.substr(0, plural.size() - 1) : plural;
}

// What a comment says of a parameter that is marked as required anyway.
std::string WithoutRequired(const std::string& comment) {
  constexpr std::string_view kRequired = "Required.";
  if (!comment.ends_with(kRequired)) return comment;
  const std::size_t end = comment.size() - kRequired.size();
  return comment.substr(0, end == 0 ? 0 : end - 1);
}

json::object PathParameter(const std::string& name, const transcode::Variable& variable) {
  const std::string comment = WithoutRequired(CommentOf(*variable.field.back()));
  std::string description = comment;
  if (name != variable.name) description = "Of `" + variable.name + "`: " + comment;
  return {{"name", name},
          {"in", "path"},
          {"required", true},
          {"description", description},
          {"schema", {{"type", "string"}}}};
}

// The names of the segments that a variable covers, literals empty.
std::vector<std::string> NamesOf(const transcode::Variable& variable,
                                 const transcode::PathTemplate& path) {
  std::vector<std::string> literals;
  for (std::size_t i = variable.begin; i < variable.end; ++i) {
    literals.push_back(path.segments[i].literal);
  }
  if (literals.size() == 1) return {variable.name};
  auto names = SegmentNames(CommentOf(*variable.field.back()), literals);
  if (!names.empty()) return names;
  for (std::size_t i = 0; i < literals.size(); ++i) {
    if (!literals[i].empty()) {
      names.emplace_back();
    } else {
      names.push_back(i > 0 && !literals[i - 1].empty() ? Singular(literals[i - 1])
                                                        : variable.name + std::to_string(i));
    }
  }
  return names;
}

// Adds the parameters that set `field` from the query. `above` are the messages that it is in: one
// that contains itself ends there.
void AddQuery(const FieldDescriptor& field, const std::string& prefix,
              std::vector<const Descriptor*> above, OpenApiSchemas& schemas, json::array& out) {
  const std::string name = prefix + field.json_name();
  const std::string comment = CommentOf(field);
  if (comment.starts_with("Set by the gateway")) return;
  const bool is_message = field.cpp_type() == FieldDescriptor::CPPTYPE_MESSAGE && !field.is_map();
  if (is_message && !protojson::HasTextForm(protojson::InfoOf(field.message_type()))) {
    const Descriptor* type = field.message_type();
    if (field.is_repeated() || std::find(above.begin(), above.end(), type) != above.end()) return;
    above.push_back(type);
    for (int i = 0; i < type->field_count(); ++i) {
      AddQuery(*type->field(i), name + ".", above, schemas, out);
    }
    return;
  }
  json::object schema = schemas.Of(field);
  json::object parameter{{"name", name}, {"in", "query"}};
  if (const auto* description = schema.if_contains("description")) {
    parameter["description"] = *description;
    schema.stable_erase("description");
  }
  if (prefix.empty() && Says(comment, "Required.")) {
    parameter["required"] = true;
    parameter["description"] = WithoutRequired(comment);
  }
  if (field.is_map()) parameter["style"] = "deepObject";
  parameter["schema"] = std::move(schema);
  out.push_back(std::move(parameter));
}

json::array ParametersOf(const Route& route, const OperationPath& path,
                         const std::set<const FieldDescriptor*>& in_path, OpenApiSchemas& schemas) {
  json::array parameters = path.parameters;
  if (route.body_is_request) return parameters;
  const Descriptor& request = *route.method->input_type();
  for (int i = 0; i < request.field_count(); ++i) {
    const FieldDescriptor* field = request.field(i);
    if (in_path.contains(field) || field == route.body_field) continue;
    AddQuery(*field, "", {&request}, schemas, parameters);
  }
  return parameters;
}

json::object Content(std::string_view type, json::object schema) {
  return {{type, json::object{{"schema", std::move(schema)}}}};
}

json::object BodyOf(const Route& route, const std::set<const FieldDescriptor*>& in_path,
                    OpenApiSchemas& schemas) {
  json::object body;
  if (route.body_field != nullptr) {
    if (const auto comment = CommentOf(*route.body_field); !comment.empty()) {
      body["description"] = comment;
    }
  }
  if (route.body_is_raw) {
    body["content"] = Content("*/*", {});
    return body;
  }
  json::object schema = route.body_is_request
                            ? schemas.ObjectOf(*route.method->input_type(), in_path)
                            : schemas.Of(*route.body_field);
  schema.stable_erase("description");
  const bool is_required = route.body_field != nullptr || schema.contains("required");
  body["content"] = Content(route.client_streaming ? kJsonLines : kJson, std::move(schema));
  if (is_required) body["required"] = true;
  return body;
}

json::object AnswerOf(const Route& route, OpenApiSchemas& schemas) {
  const Descriptor& response = *route.method->output_type();
  const FieldDescriptor* field = route.response_body_field;
  std::string description = field == nullptr ? CommentOf(response) : CommentOf(*field);
  if (description.empty() || response.full_name() == "google.protobuf.Empty") description = "Done.";
  if (route.server_streaming) {
    description += route.response_is_raw ? " Its bytes come as they are ready."
                                         : " One after the other, as they come: each a line of "
                                           "JSON, or the data of a server-sent event. An error "
                                           "after the start is a last line `{\"error\": …}`, or an "
                                           "event named `error`.";
  }
  json::object answer{{"description", description}};
  if (route.response_is_raw) {
    answer["content"] = Content("*/*", {});
    return answer;
  }
  json::object schema = field == nullptr ? schemas.Of(response) : schemas.Of(*field);
  if (!route.server_streaming) {
    answer["content"] = Content(kJson, std::move(schema));
    return answer;
  }
  json::object content = Content(kJsonLines, std::move(schema));
  content[kEventStream] = {{"schema", {{"type", "string"}}}};
  answer["content"] = std::move(content);
  return answer;
}

// The status of success: what the comment says, as in "over HTTP with 202", else 200.
std::string SuccessOf(const std::string& comment) {
  constexpr std::string_view kWords = "over HTTP with ";
  const std::size_t at = comment.find(kWords);
  return at == std::string::npos ? "200" : comment.substr(at + kWords.size(), 3);
}

// Answers with errors: those codes that the comment names, with what it says about them.
void AddErrors(const std::string& comment, json::object& responses) {
  const auto add = [&](int status, const std::string& description) {
    json::value& response = responses[std::to_string(status)];
    if (description.empty()) {
      response = {{"$ref", "#/components/responses/Error"}};
    } else {
      response = {{"description", description},
                  {"content",
                   {{kJson, {{"schema", {{"$ref", "#/components/schemas/google.rpc.Status"}}}}}}}};
    }
  };
  add(400, "");
  add(401, "");
  for (const std::string& sentence : Sentences(comment)) {
    for (int code = 1; code <= 16; ++code) {
      const auto status = static_cast<absl::StatusCode>(code);
      const std::string name(CodeName(status));
      if (sentence.find(name) != std::string::npos) add(HttpStatusOf(status), sentence);
    }
  }
  responses["default"] = {{"$ref", "#/components/responses/Error"}};
}

}  // namespace

absl::StatusOr<OperationPath> PathOf(const Route& route) {
  ASSIGN_OR_RETURN(const auto path, transcode::ParsePathTemplate(route.path_template));
  std::vector<std::string> names(path.segments.size());
  OperationPath out;
  for (const transcode::Variable& variable : route.variables) {
    const auto found = NamesOf(variable, path);
    for (std::size_t i = 0; i < found.size(); ++i) {
      names[variable.begin + i] = found[i];
      if (!found[i].empty()) out.parameters.push_back(PathParameter(found[i], variable));
    }
  }
  for (std::size_t i = 0; i < names.size(); ++i) {
    out.text += '/';
    if (path.segments[i].kind == Kind::kLiteral) {
      out.text += path.segments[i].literal;
      continue;
    }
    if (names[i].empty()) {  // a wildcard outside of variables
      names[i] = "segment" + std::to_string(i);
      out.parameters.push_back({{"name", names[i]},
                                {"in", "path"},
                                {"required", true},
                                {"description", "Anything."},
                                {"schema", {{"type", "string"}}}});
    }
    out.text += "{" + names[i] + "}";
  }
  if (!path.verb.empty()) out.text += ":" + path.verb;
  return out;
}

std::string VerbOf(const Route& route) {
  constexpr std::array<std::string_view, 8> kVerbs = {"GET",     "PUT",  "POST",  "DELETE",
                                                      "OPTIONS", "HEAD", "PATCH", "TRACE"};
  if (std::find(kVerbs.begin(), kVerbs.end(), route.http_method) == kVerbs.end()) return {};
  std::string verb = route.http_method;
  for (char& c : verb) c = static_cast<char>(c - 'A' + 'a');
  return verb;
}

std::string TagName(const ServiceDescriptor& service) {
  constexpr std::string_view kEnding = "Service";
  std::string name = service.name();
  if (name.ends_with(kEnding) && name.size() > kEnding.size()) {
    name.resize(name.size() - kEnding.size());
  }
  return name;
}

bool IsAlpha(const ServiceDescriptor& service) {
  return service.file()->package().find("alpha") != std::string::npos;
}

json::object OperationOf(const Route& route, const OperationPath& path, const std::string& id,
                         OpenApiSchemas& schemas) {
  const MethodDescriptor& method = *route.method;
  const std::string comment = CommentOf(method);
  const std::string summary = Headline(comment);
  std::set<const FieldDescriptor*> in_path;
  for (const transcode::Variable& variable : route.variables) {
    if (variable.field.size() == 1) in_path.insert(variable.field.front());
  }
  json::object operation{{"operationId", id}, {"tags", json::array{TagName(*method.service())}}};
  operation["summary"] = summary.empty() ? method.name() : summary;
  if (!comment.empty()) operation["description"] = comment;
  if (method.options().deprecated()) operation["deprecated"] = true;
  json::array parameters = ParametersOf(route, path, in_path, schemas);
  if (!parameters.empty()) operation["parameters"] = std::move(parameters);
  if (route.body_is_request || route.body_field != nullptr) {
    operation["requestBody"] = BodyOf(route, in_path, schemas);
  }
  json::object responses;
  responses[SuccessOf(comment)] = AnswerOf(route, schemas);
  AddErrors(comment, responses);
  operation["responses"] = std::move(responses);
  return operation;
}

}  // namespace penstock::protoc_gen
