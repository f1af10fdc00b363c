#include "services/function-manager/domain/update.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <string_view>
#include <utility>

#include "libs/base/status.h"
#include "services/function-manager/domain/text.h"

namespace penstock::functions {
namespace {

constexpr char kMaskField[] = "update_mask";

constexpr std::array<std::pair<std::string_view, SpecField>, 14> kPaths = {{
    {"metadata", kMetadata},
    {"description", kDescription},
    {"timeout", kTimeout},
    {"max_concurrency", kMaxConcurrency},
    {"environment", kEnvironment},
    {"secrets", kSecrets},
    {"input_schema", kInputSchema},
    {"output_schema", kOutputSchema},
    {"middleware", kMiddleware},
    {"async", kAsync},
    {"http", kHttp},
    {"process", kProcess},
    {"noop", kNoop},
    {"weighted", kWeighted},
}};

// The etag guards the update and the others are output only: naming them is harmless.
constexpr std::array<std::string_view, 11> kServerPaths = {
    "name",  "uid",          "etag",    "create_time", "update_time", "creator",
    "state", "state_reason", "version", "traffic",     "aliases"};

absl::StatusOr<SpecFields> FieldOf(const std::string& path) {
  for (const auto& [name, field] : kPaths) {
    if (path == name) return static_cast<SpecFields>(field);
  }
  if (std::find(kServerPaths.begin(), kServerPaths.end(), path) != kServerPaths.end()) return 0U;
  for (const auto& [name, field] : kPaths) {
    if (path.starts_with(fmt::format("{}.", name))) {
      return FieldError(kMaskField,
                        fmt::format("{} is inside a field that is replaced whole: expected \"{}\"",
                                    Quoted(path), name));
    }
  }
  return FieldError(
      kMaskField,
      fmt::format("{} is not a field that can be changed: expected metadata, "
                  "description, timeout, max_concurrency, environment, secrets, input_schema, "
                  "output_schema, middleware, async, http, process, noop, weighted or *",
                  Quoted(path)));
}

}  // namespace

absl::StatusOr<SpecFields> FieldsToChange(const std::vector<std::string>& mask,
                                          const SpecInput& input) {
  if (mask.empty()) return input.fields_set;
  SpecFields fields = 0;
  for (const std::string& path : mask) {
    if (path == "*") {
      if (mask.size() > 1) {
        return FieldError(kMaskField, "\"*\" is every field: expected no other path beside it");
      }
      return static_cast<SpecFields>(kAllFields);
    }
    ASSIGN_OR_RETURN(const SpecFields field, FieldOf(path));
    fields |= field;
  }
  const SpecFields drivers = fields & kDriverFields;
  if (drivers != 0 && (drivers & input.fields_set) == 0) {
    return FieldError(kMaskField, "names a driver that `function` does not set");
  }
  return fields;
}

FunctionSpec Merge(FunctionSpec current, const SpecInput& input, SpecFields fields) {
  if ((fields & kMetadata) != 0) current.metadata = input.spec.metadata;
  if ((fields & kDescription) != 0) current.description = input.spec.description;
  if ((fields & kTimeout) != 0) current.timeout = input.spec.timeout;
  if ((fields & kMaxConcurrency) != 0) current.max_concurrency = input.spec.max_concurrency;
  if ((fields & kEnvironment) != 0) current.environment = input.spec.environment;
  if ((fields & kSecrets) != 0) current.secrets = input.spec.secrets;
  if ((fields & kInputSchema) != 0) current.input_schema = input.spec.input_schema;
  if ((fields & kOutputSchema) != 0) current.output_schema = input.spec.output_schema;
  if ((fields & kMiddleware) != 0) current.middleware = input.spec.middleware;
  if ((fields & kAsync) != 0) current.async = input.spec.async;
  if ((fields & kDriverFields) != 0) current.driver = input.spec.driver;
  return current;
}

}  // namespace penstock::functions
