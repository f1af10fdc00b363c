#include "services/function-executor/registry/function_from_proto.h"

#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "libs/base/names.h"
#include "libs/base/status.h"
#include "libs/jsonschema/schema.h"
#include "libs/protojson/protojson.h"

namespace penstock::executor {
namespace {

namespace pb = functions::v1;

Microseconds ToMicros(const google::protobuf::Duration& duration) {
  return Microseconds(duration.seconds() * 1'000'000 + duration.nanos() / 1'000);
}

HttpTarget FromProto(const pb::HttpDriver& driver) {
  HttpTarget target;
  target.url = driver.url();
  switch (driver.format()) {
    case pb::HttpDriver::STRUCTURED: target.format = HttpFormat::kStructured; break;
    case pb::HttpDriver::RAW: target.format = HttpFormat::kRaw; break;
    case pb::HttpDriver::CONTEXT: target.format = HttpFormat::kContext; break;
    default: target.format = HttpFormat::kBinary; break;
  }
  target.headers.insert(driver.headers().begin(), driver.headers().end());
  target.signing_secret = driver.signing_secret();
  return target;
}

ProcessTarget FromProto(const pb::ProcessDriver& driver) {
  ProcessTarget target;
  target.runtime = driver.runtime();
  target.source = driver.source();
  if (!driver.handler().empty()) target.handler = driver.handler();
  target.command.assign(driver.command().begin(), driver.command().end());
  if (driver.max_workers() > 0) target.workers_max = driver.max_workers();
  if (driver.has_idle_timeout()) target.idle_timeout = ToMicros(driver.idle_timeout());
  if (driver.max_memory_bytes() > 0) target.memory_bytes_max = driver.max_memory_bytes();
  if (driver.max_output_bytes() > 0) target.output_bytes_max = driver.max_output_bytes();
  target.source_digest = driver.source_digest();
  target.entry = driver.entry();
  target.workers_min = driver.min_workers();
  target.calls_max = driver.max_calls();
  if (driver.has_max_cpu_time()) target.cpu_time_max = ToMicros(driver.max_cpu_time());
  target.files_max = driver.max_open_files();
  const pb::ProcessIsolation& isolation = driver.isolation();
  target.isolation = {.no_network = isolation.network() == pb::ProcessIsolation::NONE,
                      .own_namespaces = isolation.own_namespaces(),
                      .own_user = isolation.own_user(),
                      .best_effort = isolation.best_effort()};
  return target;
}

AsyncPolicy FromProto(const pb::AsyncPolicy& message) {
  AsyncPolicy policy;
  policy.attempts_max = message.max_attempts();
  if (message.has_initial_delay()) policy.delay_initial = ToMicros(message.initial_delay());
  if (message.has_max_delay()) policy.delay_max = ToMicros(message.max_delay());
  if (message.has_max_age()) policy.age_max = ToMicros(message.max_age());
  policy.on_success = {message.on_success().function(), message.on_success().event_type()};
  policy.on_failure = {message.on_failure().function(), message.on_failure().event_type()};
  policy.callback_url = message.callback_url();
  policy.callback_signing_secret = message.callback_signing_secret();
  return policy;
}

absl::StatusOr<std::shared_ptr<const jsonschema::Schema>> SchemaOf(
    std::string_view field, const google::protobuf::Struct& message) {
  ASSIGN_OR_RETURN(const std::string text, protojson::PrintJson(message));
  return jsonschema::Schema::Parse(text, field);
}

// A kind that is newer than this executor has an empty name, which no middleware is registered for.
absl::StatusOr<std::vector<StepSpec>> StepsOf(
    const google::protobuf::RepeatedPtrField<pb::Middleware>& messages) {
  std::vector<StepSpec> steps;
  for (const pb::Middleware& message : messages) {
    StepSpec step;
    const google::protobuf::Reflection& reflection = *message.GetReflection();
    const auto* const kind = message.GetDescriptor()->FindOneofByName("kind");
    if (const auto* const field = reflection.GetOneofFieldDescriptor(message, kind)) {
      step.kind = field->name();
      ASSIGN_OR_RETURN(step.settings, protojson::PrintJson(reflection.GetMessage(message, field)));
    }
    steps.push_back(std::move(step));
  }
  return steps;
}

}  // namespace

absl::StatusOr<FunctionUpdate> FunctionFromProto(const internal::v1::FunctionChange& change) {
  const pb::Function& function = change.function();
  ASSIGN_OR_RETURN(const ResourceName name,
                   ParseResourceName("function.name", "functions", function.name()));
  FunctionUpdate update{name.space, name.id, function.uid(), function.version(), nullptr};
  update.is_older_version = change.older_version();
  for (const pb::TrafficTarget& target : function.traffic()) {
    update.traffic.push_back({target.version(), target.percent()});
  }
  update.aliases.insert(function.aliases().begin(), function.aliases().end());
  if (change.secrets_size() > 0) {
    auto secrets = std::make_shared<Secrets>();
    for (const auto& secret : change.secrets()) {
      (*secrets)[secret.id()].insert(secret.values().begin(), secret.values().end());
    }
    update.secrets = std::move(secrets);
  }
  ASSIGN_OR_RETURN(update.space_middleware, StepsOf(change.space_middleware()));
  update.kept.assign(change.kept_versions().begin(), change.kept_versions().end());
  if (change.deleted() || function.driver_case() == pb::Function::DRIVER_NOT_SET) return update;
  update.is_unproven =
      function.state() == pb::Function::DEPLOYING || function.state() == pb::Function::FAILED;
  auto spec = std::make_shared<FunctionSpec>();
  spec->space = name.space;
  spec->id = name.id;
  spec->uid = function.uid();
  spec->version = function.version();
  spec->revision = change.revision();
  if (function.has_timeout()) spec->timeout = ToMicros(function.timeout());
  spec->concurrency_max = function.max_concurrency();
  spec->secrets.assign(function.secrets().begin(), function.secrets().end());
  spec->environment.insert(function.environment().begin(), function.environment().end());
  if (function.has_async()) spec->async = FromProto(function.async());
  if (function.has_http()) {
    spec->target = FromProto(function.http());
  } else if (function.has_process()) {
    spec->target = FromProto(function.process());
  } else if (function.has_weighted()) {
    WeightedTarget weighted;
    for (const pb::WeightedTarget& target : function.weighted().targets()) {
      weighted.shares.push_back({target.function(), target.weight()});
    }
    spec->target = std::move(weighted);
  } else {
    spec->target = NoopTarget{};
  }
  if (function.has_input_schema()) {
    ASSIGN_OR_RETURN(spec->input_schema, SchemaOf("input_schema", function.input_schema()));
  }
  if (function.has_output_schema()) {
    ASSIGN_OR_RETURN(spec->output_schema, SchemaOf("output_schema", function.output_schema()));
  }
  ASSIGN_OR_RETURN(spec->middleware, StepsOf(function.middleware()));
  update.spec = std::move(spec);
  return update;
}

}  // namespace penstock::executor
