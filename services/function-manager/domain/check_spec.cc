#include "services/function-manager/domain/check_spec.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "libs/base/names.h"
#include "libs/base/status.h"
#include "libs/jsonschema/schema.h"
#include "services/function-manager/domain/check_driver.h"
#include "services/function-manager/domain/check_middleware.h"
#include "services/function-manager/domain/text.h"

namespace penstock::functions {
namespace {

constexpr std::size_t kMetadataCountMax = 64;
constexpr std::size_t kMetadataKeyMax = 63;
constexpr std::size_t kMetadataValueMax = 1024;
constexpr std::size_t kDescriptionMax = 1024;
constexpr std::size_t kVariablesMax = 128;
constexpr std::size_t kSecretsMax = 16;
constexpr std::size_t kEnvironmentBytesMax = 32 << 10;
constexpr std::size_t kEventTypeMax = 255;
constexpr std::size_t kSchemaBytesMax = 64 << 10;

using Violations = std::vector<FieldViolation>;

void CheckMetadata(const FunctionSpec& spec, Violations& violations) {
  if (spec.metadata.size() > kMetadataCountMax) {
    violations.push_back({"metadata", fmt::format("has {} entries: expected at most {}",
                                                  spec.metadata.size(), kMetadataCountMax)});
    return;
  }
  for (const auto& [key, value] : spec.metadata) {
    if (key.empty() || CharacterCount(key) > kMetadataKeyMax) {
      violations.push_back({"metadata", fmt::format("{} is not a key: expected 1 to {} characters",
                                                    Quoted(key), kMetadataKeyMax)});
    } else if (CharacterCount(value) > kMetadataValueMax) {
      violations.push_back({fmt::format("metadata[{}]", Quoted(key)),
                            fmt::format("has {} characters: expected at most {}",
                                        CharacterCount(value), kMetadataValueMax)});
    }
  }
}

void CheckVariable(const std::string& name, const std::string& value, Violations& violations) {
  if (!IsIdentifier(name)) {
    violations.push_back(
        {"environment",
         fmt::format("{} is not the name of a variable: expected letters, digits and "
                     "underscores, not starting with a digit",
                     Quoted(name))});
  } else if (value.find('\0') != std::string::npos) {
    violations.push_back(
        {fmt::format("environment[{}]", Quoted(name)), "holds a zero byte, which no variable can"});
  }
}

void CheckEnvironment(const FunctionSpec& spec, Violations& violations) {
  if (spec.environment.empty()) return;
  if (std::holds_alternative<std::monostate>(spec.driver)) return;  // Reported by itself.
  if (!std::holds_alternative<ProcessDriver>(spec.driver)) {
    violations.push_back({"environment", "is only for process functions: expected none"});
    return;
  }
  if (spec.environment.size() > kVariablesMax) {
    violations.push_back({"environment", fmt::format("has {} variables: expected at most {}",
                                                     spec.environment.size(), kVariablesMax)});
    return;
  }
  std::size_t bytes = 0;
  for (const auto& [name, value] : spec.environment) {
    CheckVariable(name, value, violations);
    bytes += name.size() + value.size() + 2;  // As the system counts: name=value and a zero byte.
  }
  if (bytes > kEnvironmentBytesMax) {
    violations.push_back({"environment", fmt::format("takes {} bytes: expected at most {} in all",
                                                     bytes, kEnvironmentBytesMax)});
  }
}

void CheckSchema(std::string_view field, const std::string& schema, Violations& violations) {
  if (schema.empty()) return;
  if (schema.size() > kSchemaBytesMax) {
    violations.push_back({std::string(field), fmt::format("takes {} bytes: expected at most {}",
                                                          schema.size(), kSchemaBytesMax)});
    return;
  }
  const auto compiled = jsonschema::Schema::Parse(schema, field);
  for (const FieldViolation& violation : FieldViolationsOf(compiled.status())) {
    violations.push_back(violation);
  }
}

// The ids of all secrets, whoever is given them.
void CheckSecretIds(const FunctionSpec& spec, Violations& violations) {
  if (spec.secrets.size() > kSecretsMax) return;  // Said by CheckSecrets.
  for (const NamedSecret& secret : SecretsNamedBy(spec)) {
    for (FieldViolation& violation : FieldViolationsOf(CheckResourceId(secret.field, secret.id))) {
      violations.push_back(std::move(violation));
    }
  }
}

void CheckSecrets(const FunctionSpec& spec, Violations& violations) {
  if (spec.secrets.empty() || std::holds_alternative<std::monostate>(spec.driver)) return;
  const auto* http = std::get_if<HttpDriver>(&spec.driver);
  const bool is_given = std::holds_alternative<ProcessDriver>(spec.driver) ||
                        (http != nullptr && http->format == HttpFormat::kContext);
  if (!is_given) {
    violations.push_back({"secrets",
                          "are given only to process functions, and to those behind a URL with "
                          "format CONTEXT: expected none"});
  }
  if (spec.secrets.size() > kSecretsMax) {
    violations.push_back({"secrets", fmt::format("has {} ids: expected at most {}",
                                                 spec.secrets.size(), kSecretsMax)});
  }
  std::set<std::string> seen;
  for (std::size_t i = 0; i < spec.secrets.size() && i < kSecretsMax; ++i) {
    if (seen.insert(spec.secrets[i]).second) continue;
    violations.push_back(
        {fmt::format("secrets[{}]", i), fmt::format("{} is there twice", Quoted(spec.secrets[i]))});
  }
}

void CheckDestination(const char* field, const AsyncDestination& destination,
                      Violations& violations) {
  if (destination.empty()) return;
  if (!destination.function.empty() && !destination.event_type.empty()) {
    violations.push_back({field, "expected exactly one of function and event_type"});
    return;
  }
  if (!destination.function.empty()) {
    for (FieldViolation& violation : FieldViolationsOf(
             CheckResourceId(fmt::format("{}.function", field), destination.function))) {
      violations.push_back(std::move(violation));
    }
    return;
  }
  const std::string& type = destination.event_type;
  const bool is_text =
      std::all_of(type.begin(), type.end(), [](char c) { return c > ' ' && c < 0x7f; });
  if (type.size() > kEventTypeMax || !is_text || type.find('*') != std::string::npos) {
    violations.push_back({fmt::format("{}.event_type", field),
                          "expected a type of at most 255 printable characters, without \"*\""});
  } else if (type.starts_with("penstock.")) {
    violations.push_back(
        {fmt::format("{}.event_type", field), "types that begin with \"penstock.\" are reserved"});
  }
}

void CheckAsync(const AsyncPolicy& policy, Violations& violations) {
  const auto check = [&](bool holds, const char* field, const char* expected) {
    if (!holds) violations.push_back({field, expected});
  };
  check(policy.max_attempts >= 1 && policy.max_attempts <= 1000, "async.max_attempts",
        "expected 1 to 1000");
  check(policy.initial_delay >= std::chrono::milliseconds(1) &&
            policy.initial_delay <= std::chrono::hours(1),
        "async.initial_delay", "expected 1ms to 1h");
  check(policy.max_delay >= policy.initial_delay && policy.max_delay <= std::chrono::hours(24),
        "async.max_delay", "expected initial_delay to 24h");
  check(policy.max_age >= std::chrono::seconds(1) && policy.max_age <= std::chrono::hours(24 * 30),
        "async.max_age", "expected 1s to 30 days");
  CheckDestination("async.on_success", policy.on_success, violations);
  CheckDestination("async.on_failure", policy.on_failure, violations);
  if (policy.callback_url.empty()) return;
  if (std::string problem = UrlProblem(policy.callback_url); !problem.empty()) {
    violations.push_back({"async.callback_url", std::move(problem)});
  }
}

// What a weighted function would be believed to have, and its targets have.
void CheckOfTargets(const FunctionSpec& spec, Violations& violations) {
  if (!std::holds_alternative<WeightedDriver>(spec.driver)) return;
  const auto refuse = [&](bool is_set, const char* field) {
    if (!is_set) return;
    violations.push_back(
        {field, "a weighted function has none: expected it with the functions that it names"});
  };
  refuse(spec.timeout != FunctionSpec::kTimeoutDefault, "timeout");
  refuse(spec.max_concurrency != 0, "max_concurrency");
  refuse(!spec.input_schema.empty(), "input_schema");
  refuse(!spec.output_schema.empty(), "output_schema");
  refuse(!spec.middleware.empty(), "middleware");
}

}  // namespace

void FillDefaults(FunctionSpec& spec) {
  auto* process = std::get_if<ProcessDriver>(&spec.driver);
  if (process == nullptr || process->runtime == "exec" || !process->handler.empty()) return;
  process->handler = ProcessDriver::kHandlerDefault;
}

absl::Status CheckSpec(const FunctionSpec& spec) {
  Violations violations;
  CheckMetadata(spec, violations);
  CheckAsync(spec.async, violations);
  if (CharacterCount(spec.description) > kDescriptionMax) {
    violations.push_back(
        {"description", fmt::format("has {} characters: expected at most {}",
                                    CharacterCount(spec.description), kDescriptionMax)});
  }
  if (spec.timeout < kTimeoutMin || spec.timeout > kTimeoutMax) {
    violations.push_back(
        {"timeout",
         fmt::format("is {}: expected 1ms to 15m",
                     spec.timeout.count() < 0 ? "negative" : FormatDuration(spec.timeout))});
  }
  if (spec.max_concurrency < 0) {
    violations.push_back({"max_concurrency", fmt::format("is {}: expected 0 (no limit) or more",
                                                         spec.max_concurrency)});
  }
  CheckEnvironment(spec, violations);
  CheckSecrets(spec, violations);
  CheckSecretIds(spec, violations);
  CheckSchema("input_schema", spec.input_schema, violations);
  CheckSchema("output_schema", spec.output_schema, violations);
  CheckDriver(spec.driver, violations);
  CheckMiddleware("middleware", spec.middleware, violations);
  CheckOfTargets(spec, violations);
  return UnderField("function", FieldErrors(violations));
}

}  // namespace penstock::functions
