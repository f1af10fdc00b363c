#include "services/function-executor/domain/schema_checks.h"

#include <fmt/format.h>

#include <boost/json/parse.hpp>
#include <string_view>
#include <utility>
#include <vector>

#include "services/function-executor/domain/content_type.h"

namespace penstock::executor {
namespace {

namespace json = boost::json;

// Levels of a payload.
constexpr std::size_t kDepthMax = 128;

// What is wrong with a payload; empty when nothing is.
std::string ProblemOf(const jsonschema::Schema& schema, std::string_view payload,
                      std::string_view content_type) {
  json::value value;
  if (!payload.empty()) {
    // One without a type is taken for JSON.
    if (!content_type.empty() && !IsJsonContentType(content_type))
      return fmt::format("expected JSON, got {}", content_type);
    json::parse_options options;
    options.max_depth = kDepthMax;
    json::error_code error;
    value = json::parse(json::string_view(payload.data(), payload.size()), error, {}, options);
    if (error) return fmt::format("expected JSON: {}", error.message());
  }
  const auto violations = schema.Validate(value);
  if (!violations.ok()) return std::string(violations.status().message());
  return jsonschema::Describe(*violations);
}

FunctionError Violation(ErrorCategory category, std::string message) {
  return {category, "SchemaViolation", std::move(message), {}};
}

}  // namespace

void SchemaChecks::CheckInput(Schema schema, Bytes payload, std::string content_type,
                              std::shared_ptr<const Batch> batch, Done done) const {
  Run(
      [schema = std::move(schema), payload = std::move(payload),
       content_type = std::move(content_type),
       batch = std::move(batch)]() -> std::optional<FunctionError> {
        if (batch == nullptr) {
          std::string problem = ProblemOf(*schema, *payload, content_type);
          if (problem.empty()) return std::nullopt;
          return Violation(ErrorCategory::kInput, "the input: " + problem);
        }
        for (const BatchedEvent& one : *batch) {
          const std::string problem = ProblemOf(*schema, *one.payload, one.content_type);
          if (problem.empty()) continue;
          return Violation(ErrorCategory::kInput,
                           fmt::format("the event {}: {}", one.event.id, problem));
        }
        return std::nullopt;
      },
      "Busy", std::move(done));
}

void SchemaChecks::CheckOutput(Schema schema, Bytes payload, std::string content_type,
                               Done done) const {
  Run(
      [schema = std::move(schema), payload = std::move(payload),
       content_type = std::move(content_type)]() -> std::optional<FunctionError> {
        std::string problem = ProblemOf(*schema, *payload, content_type);
        if (problem.empty()) return std::nullopt;
        return Violation(ErrorCategory::kFunction, "the answer: " + problem);
      },
      "Overloaded", std::move(done));
}

void SchemaChecks::Run(std::function<std::optional<FunctionError>()> check, const char* no_room,
                       Done done) const {
  const auto shared = std::make_shared<Done>(std::move(done));
  if (apart_([check = std::move(check), shared] { (*shared)(check()); })) return;
  (*shared)(FunctionError{
      ErrorCategory::kSystem, no_room, "too many payloads wait to be held against schemas", {}});
}

}  // namespace penstock::executor
