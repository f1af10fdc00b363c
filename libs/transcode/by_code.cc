#include "libs/transcode/by_code.h"

#include <algorithm>

#include "libs/transcode/http_body.h"
#include "libs/transcode/percent.h"
#include "libs/transcode/query.h"
#include "libs/transcode/route_code.h"
#include "libs/transcode/update_mask.h"

namespace penstock::transcode {
namespace {

using google::protobuf::Message;

// Makes one request. One object a call.
class Builder {
 public:
  explicit Builder(const Route& route)
      : route_(route), code_(*route.code), request_(route.request_prototype->New()) {}

  bool ReadBody(const RequestBody& body) {
    if (route_.body_is_raw) {
      const auto* reflection = request_->GetReflection();
      SetHttpBody(body.content_type, body.data,
                  route_.body_is_request
                      ? request_.get()
                      : reflection->MutableMessage(request_.get(), route_.body_field));
      return true;
    }
    if (body.data.empty()) return true;
    return code_.read_body != nullptr && code_.read_body(body.data, request_.get());
  }

  bool SetVariables(const PathBindings& bindings) {
    for (std::size_t i = 0; i < bindings.size(); ++i) {
      const Variable& variable = route_.variables[i];
      std::string_view text = bindings[i];
      if (!Decode(variable.single_segment ? PercentRule::kSegment : PercentRule::kSegments, &text,
                  &value_)) {
        return false;
      }
      if (!code_.set_field(variable.name, text, request_.get(), set_)) return false;
    }
    return true;
  }

  bool ReadQuery(std::string_view query) {
    if (query.empty()) return true;
    if (route_.body_is_request) return false;
    if (route_.body_field != nullptr) set_.Mark(request_.get(), route_.body_field->number());
    while (!query.empty()) {
      const std::size_t end = std::min(query.find('&'), query.size());
      const std::string_view parameter = query.substr(0, end);
      query.remove_prefix(std::min(end + 1, query.size()));
      if (!parameter.empty() && !SetParameter(parameter)) return false;
    }
    return true;
  }

  std::unique_ptr<Message> Take(std::string_view json) {
    const bool has_mask = route_.update_mask_field != nullptr && !json.empty();
    if (has_mask && !FillUpdateMask(route_, json, request_.get())) return nullptr;
    return std::move(request_);
  }

 private:
  // Decodes `text`, in `store` if need be.
  static bool Decode(PercentRule rule, std::string_view* text, std::string* store) {
    const char* special = rule == PercentRule::kQuery ? "%+" : "%";
    if (text->find_first_of(special) == std::string_view::npos) return true;
    if (!PercentDecode(*text, rule, store)) return false;
    *text = *store;
    return true;
  }

  bool SetParameter(std::string_view parameter) {
    const std::size_t equals = std::min(parameter.find('='), parameter.size());
    std::string_view name = parameter.substr(0, equals);
    std::string_view text = parameter.substr(std::min(equals + 1, parameter.size()));
    if (!Decode(PercentRule::kQuery, &name, &name_)) return false;
    if (!Decode(PercentRule::kQuery, &text, &value_)) return false;
    const auto dots = std::count(name.begin(), name.end(), '.');
    if (dots >= static_cast<std::ptrdiff_t>(kMaxFieldDepth)) return false;
    return code_.set_field(name, text, request_.get(), set_);
  }

  const Route& route_;
  const RouteCode& code_;
  std::unique_ptr<Message> request_;
  SetFields set_;
  std::string name_;
  std::string value_;
};

}  // namespace

std::unique_ptr<Message> BuildByCode(const Route& route, const PathBindings& bindings,
                                     std::string_view query, const RequestBody& body) {
  if (route.code == nullptr || bindings.size() != route.variables.size()) return nullptr;
  Builder builder(route);
  if (!builder.ReadBody(body) || !builder.SetVariables(bindings) || !builder.ReadQuery(query)) {
    return nullptr;
  }
  return builder.Take(route.body_is_raw ? std::string_view() : body.data);
}

bool WriteByCode(const Route& route, const Message& message, const protojson::PrintOptions& options,
                 std::string* out) {
  if (route.code == nullptr || route.code->write_body == nullptr) return false;
  // As with codecs, that is for people to look at.
  if (options.always_print_defaults) return false;
  if (message.GetReflection() != route.response_prototype->GetReflection()) return false;
  const std::size_t size = out->size();
  protojson::JsonWriter writer(out, options.pretty);
  protojson::CodecOutput output{.json = writer, .options = options};
  if (route.code->write_body(message, output)) return true;
  out->resize(size);
  return false;
}

}  // namespace penstock::transcode
