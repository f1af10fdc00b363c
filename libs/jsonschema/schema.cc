#include "libs/jsonschema/schema.h"

#include <boost/json/parse.hpp>
#include <utility>

#include "libs/base/status.h"
#include "libs/jsonschema/compile.h"
#include "libs/jsonschema/validate.h"

namespace penstock::jsonschema {

namespace json = boost::json;

Schema::Schema(std::unique_ptr<const Nodes> nodes, const Limits& limits)
    : nodes_(std::move(nodes)), limits_(limits) {}
Schema::~Schema() = default;

absl::StatusOr<std::shared_ptr<const Schema>> Schema::Compile(const json::value& document,
                                                              std::string_view field,
                                                              const Limits& limits) {
  ASSIGN_OR_RETURN(auto nodes, CompileNodes(document, field, limits));
  return std::shared_ptr<const Schema>(new Schema(std::move(nodes), limits));
}

absl::StatusOr<std::shared_ptr<const Schema>> Schema::Parse(std::string_view text,
                                                            std::string_view field,
                                                            const Limits& limits) {
  json::parse_options options;
  // A level of a schema takes two of JSON: a keyword, and a name.
  options.max_depth = 2 * limits.depth_max + 2;
  json::error_code error;
  const json::value document =
      json::parse(json::string_view(text.data(), text.size()), error, {}, options);
  if (error) return FieldError(field, "expected JSON: " + error.message());
  return Compile(document, field, limits);
}

absl::StatusOr<std::vector<Violation>> Schema::Validate(const json::value& value) const {
  return ValidateNodes(*nodes_, value, limits_);
}

std::string Describe(const std::vector<Violation>& violations) {
  std::string text;
  for (const Violation& violation : violations) {
    if (!text.empty()) text += "; ";
    if (!violation.path.empty()) text += violation.path + ": ";
    text += violation.message;
  }
  return text;
}

}  // namespace penstock::jsonschema
