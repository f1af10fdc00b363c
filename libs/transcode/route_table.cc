#include "libs/transcode/route_table.h"

#include <fmt/format.h>
#include <google/api/annotations.pb.h>

#include <algorithm>
#include <deque>
#include <utility>

#include "libs/base/status.h"
#include "libs/transcode/http_body.h"
#include "libs/transcode/path_template.h"
#include "libs/transcode/path_trie.h"
#include "libs/transcode/percent.h"
#include "libs/transcode/update_mask.h"

namespace penstock::transcode {
namespace {

using google::api::HttpRule;
using google::protobuf::Descriptor;
using google::protobuf::FieldDescriptor;
using google::protobuf::MessageFactory;
using google::protobuf::MethodDescriptor;
using google::protobuf::ServiceDescriptor;

absl::Status RuleError(const MethodDescriptor* method, std::string_view what) {
  return absl::InvalidArgumentError(
      fmt::format("google.api.http of {}: {}", method->full_name(), what));
}

// The method and template of a rule; an empty method when the rule has none.
std::pair<std::string, std::string> PatternOf(const HttpRule& rule) {
  switch (rule.pattern_case()) {
    case HttpRule::kGet: return {"GET", rule.get()};
    case HttpRule::kPut: return {"PUT", rule.put()};
    case HttpRule::kPost: return {"POST", rule.post()};
    case HttpRule::kDelete: return {"DELETE", rule.delete_()};
    case HttpRule::kPatch: return {"PATCH", rule.patch()};
    case HttpRule::kCustom: return {rule.custom().kind(), rule.custom().path()};
    case HttpRule::PATTERN_NOT_SET: break;
  }
  return {};
}

absl::StatusOr<Binding> BindingOf(const MethodDescriptor* method, const HttpRule& rule) {
  Binding binding{.method = method,
                  .http_method = {},
                  .path_template = {},
                  .body = rule.body(),
                  .response_body = rule.response_body()};
  std::tie(binding.http_method, binding.path_template) = PatternOf(rule);
  if (binding.http_method.empty()) {
    return RuleError(method, "expected get, put, post, delete, patch or a custom kind");
  }
  return binding;
}

// A method of HTTP (RFC 9110, 5.6.2: a token), or "*".
bool IsHttpMethod(std::string_view text) {
  return text == kAnyMethod || std::all_of(text.begin(), text.end(), [](char c) {
           return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') ||
                  c == '-' || c == '_';
         });
}

// A path of singular fields that ends in a scalar.
absl::StatusOr<FieldPath> ResolveVariable(const MethodDescriptor* method, std::string_view name) {
  FieldPath path;
  const Descriptor* type = method->input_type();
  for (std::string_view rest = name; type != nullptr;) {
    const std::size_t dot = rest.find('.');
    const FieldDescriptor* field = type->FindFieldByName(std::string(rest.substr(0, dot)));
    if (field == nullptr) {
      return RuleError(method, fmt::format("variable {}: no such field", name));
    }
    if (field->is_repeated()) {
      return RuleError(method, fmt::format("variable {}: is repeated", name));
    }
    path.push_back(field);
    type = field->message_type();
    if (dot == std::string_view::npos) break;
    if (type == nullptr) {
      return RuleError(method, fmt::format("variable {}: no message before a dot", name));
    }
    rest.remove_prefix(dot + 1);
  }
  if (type != nullptr) {
    return RuleError(method, fmt::format("variable {}: expected a scalar field", name));
  }
  return path;
}

absl::Status SetVariables(const PathTemplate& path_template, Route* route) {
  using Kind = TemplateSegment::Kind;
  for (const TemplateVariable& parsed : path_template.variables) {
    Variable variable{.name = parsed.name, .begin = parsed.begin, .end = parsed.end};
    ASSIGN_OR_RETURN(variable.field, ResolveVariable(route->method, parsed.name));
    variable.to_path_end = path_template.segments[parsed.end - 1].kind == Kind::kMulti;
    variable.single_segment = parsed.end - parsed.begin == 1 && !variable.to_path_end;
    for (const Variable& other : route->variables) {
      if (other.name == variable.name) {
        return RuleError(route->method, fmt::format("variable {} is there twice", other.name));
      }
    }
    route->variables.push_back(std::move(variable));
  }
  return absl::OkStatus();
}

bool IsRaw(const FieldDescriptor* field) {
  return !field->is_repeated() && IsHttpBody(field->message_type());
}

absl::Status SetBodies(const Binding& binding, Route* route) {
  const MethodDescriptor* method = route->method;
  route->body_is_request = binding.body == "*";
  route->body_is_raw = route->body_is_request && IsHttpBody(method->input_type());
  if (!binding.body.empty() && !route->body_is_request) {
    route->body_field = method->input_type()->FindFieldByName(binding.body);
    if (route->body_field == nullptr) {
      return RuleError(method, fmt::format("body {}: no such field", binding.body));
    }
    for (const Variable& variable : route->variables) {
      if (variable.field.size() == 1 && variable.field.front() == route->body_field) {
        return RuleError(method, fmt::format("body {}: is in the path already", binding.body));
      }
    }
    route->body_is_raw = IsRaw(route->body_field);
  }
  route->response_is_raw = IsHttpBody(method->output_type());
  if (!binding.response_body.empty()) {
    route->response_body_field = method->output_type()->FindFieldByName(binding.response_body);
    if (route->response_body_field == nullptr) {
      return RuleError(method,
                       fmt::format("response_body {}: no such field", binding.response_body));
    }
    route->response_is_raw = IsRaw(route->response_body_field);
  }
  return absl::OkStatus();
}

absl::StatusOr<std::unique_ptr<Route>> MakeRoute(const Binding& binding,
                                                 const PathTemplate& path_template) {
  const MethodDescriptor* method = binding.method;
  auto route = std::make_unique<Route>();
  route->http_method = binding.http_method;
  route->path_template = binding.path_template;
  route->method = method;
  route->full_method = fmt::format("/{}/{}", method->service()->full_name(), method->name());
  MessageFactory* factory =
      binding.factory == nullptr ? MessageFactory::generated_factory() : binding.factory;
  route->request_prototype = factory->GetPrototype(method->input_type());
  route->response_prototype = factory->GetPrototype(method->output_type());
  if (route->request_prototype == nullptr || route->response_prototype == nullptr) {
    return RuleError(method, "its messages are not compiled in");
  }
  route->client_streaming = method->client_streaming();
  route->server_streaming = method->server_streaming();
  RETURN_IF_ERROR(SetVariables(path_template, route.get()));
  RETURN_IF_ERROR(SetBodies(binding, route.get()));
  route->update_mask_field = UpdateMaskField(*route);
  route->code = binding.code;
  return route;
}

Segments Split(std::string_view path) {
  Segments segments;
  if (path.empty()) return segments;
  for (;;) {
    const std::size_t slash = path.find('/');
    segments.push_back(path.substr(0, slash));
    if (slash == std::string_view::npos) return segments;
    path.remove_prefix(slash + 1);
  }
}

// Text as literals are compared with it. What is not validly encoded matches no literal anyway, and
// stays as it is.
std::string_view Decoded(std::string_view text, std::deque<std::string>* store) {
  if (text.find('%') == std::string_view::npos) return text;
  std::string decoded;
  if (!PercentDecode(text, PercentRule::kSegment, &decoded)) return text;
  return store->emplace_back(std::move(decoded));
}

PathBindings Bind(const Route& route, const Segments& segments) {
  PathBindings bindings;
  bindings.reserve(route.variables.size());
  for (const Variable& variable : route.variables) {
    const std::size_t end = variable.to_path_end ? segments.size() : variable.end;
    if (variable.begin >= end) {
      bindings.emplace_back();
      continue;
    }
    const char* first = segments[variable.begin].data();
    const std::string_view last = segments[end - 1];
    bindings.emplace_back(first, static_cast<std::size_t>(last.data() + last.size() - first));
  }
  return bindings;
}

}  // namespace

struct RouteTable::Tables {
  absl::Status Add(const Binding& binding);

  std::vector<std::unique_ptr<const Route>> routes;
  PathTrie trie;
};

absl::Status RouteTable::Tables::Add(const Binding& binding) {
  if (!IsHttpMethod(binding.http_method)) {
    return RuleError(binding.method, fmt::format("{} is no HTTP method", binding.http_method));
  }
  const auto path_template = ParsePathTemplate(binding.path_template);
  if (!path_template.ok()) {
    const auto message = path_template.status().message();
    return RuleError(binding.method, std::string_view(message.data(), message.size()));
  }
  ASSIGN_OR_RETURN(auto route, MakeRoute(binding, *path_template));
  if (const Route* other = trie.Add(*path_template, route.get())) {
    return RuleError(binding.method, fmt::format("{} {} takes the same paths as {} of {}",
                                                 binding.http_method, binding.path_template,
                                                 other->path_template, other->method->full_name()));
  }
  routes.push_back(std::move(route));
  return absl::OkStatus();
}

RouteTable::RouteTable(std::unique_ptr<Tables> tables) : tables_(std::move(tables)) {}
RouteTable::RouteTable(RouteTable&&) noexcept = default;
RouteTable& RouteTable::operator=(RouteTable&&) noexcept = default;
RouteTable::~RouteTable() = default;

absl::StatusOr<std::vector<Binding>> ReadBindings(
    std::span<const ServiceDescriptor* const> services) {
  std::vector<Binding> bindings;
  for (const ServiceDescriptor* service : services) {
    for (int i = 0; i < service->method_count(); ++i) {
      const MethodDescriptor* method = service->method(i);
      if (!method->options().HasExtension(google::api::http)) continue;
      const HttpRule& rule = method->options().GetExtension(google::api::http);
      ASSIGN_OR_RETURN(bindings.emplace_back(), BindingOf(method, rule));
      for (const HttpRule& more : rule.additional_bindings()) {
        if (more.additional_bindings_size() > 0) {
          return RuleError(method, "additional_bindings inside additional_bindings");
        }
        ASSIGN_OR_RETURN(bindings.emplace_back(), BindingOf(method, more));
      }
    }
  }
  return bindings;
}

absl::StatusOr<RouteTable> RouteTable::Build(std::span<const Binding> bindings) {
  auto tables = std::make_unique<Tables>();
  for (const Binding& binding : bindings) RETURN_IF_ERROR(tables->Add(binding));
  return RouteTable(std::move(tables));
}

absl::StatusOr<RouteTable> RouteTable::Build(std::span<const ServiceDescriptor* const> services) {
  ASSIGN_OR_RETURN(const auto bindings, ReadBindings(services));
  return Build(std::span<const Binding>(bindings));
}

MatchResult RouteTable::Match(std::string_view http_method, std::string_view path) const {
  MatchResult result;
  if (!path.starts_with('/')) return result;
  Segments segments = Split(path.substr(1));
  auto& allowed = result.allowed_methods;
  std::deque<std::string> store;  // what the decoded segments refer to
  Segments decoded = segments;
  for (std::string_view& segment : decoded) segment = Decoded(segment, &store);
  const std::size_t colon = segments.empty() ? std::string_view::npos : segments.back().rfind(':');
  if (colon != std::string_view::npos) {
    const std::string_view whole = std::exchange(decoded.back(), {});
    const std::string_view stem = segments.back().substr(0, colon);
    const std::string_view verb = Decoded(segments.back().substr(colon + 1), &store);
    decoded.back() = Decoded(stem, &store);
    if (!verb.empty()) result.route = tables_->trie.Find(decoded, verb, http_method, &allowed);
    if (result.route != nullptr) segments.back() = stem;
    decoded.back() = whole;
  }
  if (result.route == nullptr) {
    result.route = tables_->trie.Find(decoded, {}, http_method, &allowed);
  }
  if (result.route != nullptr) {
    allowed.clear();
    result.bindings = Bind(*result.route, segments);
    return result;
  }
  std::sort(allowed.begin(), allowed.end());
  allowed.erase(std::unique(allowed.begin(), allowed.end()), allowed.end());
  return result;
}

const std::vector<std::unique_ptr<const Route>>& RouteTable::routes() const {
  return tables_->routes;
}

}  // namespace penstock::transcode
