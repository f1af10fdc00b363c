#include "services/function-manager/api/convert.h"

#include <fmt/format.h>
#include <google/protobuf/duration.pb.h>
#include <google/protobuf/struct.pb.h>
#include <google/protobuf/timestamp.pb.h>

#include <algorithm>
#include <chrono>
#include <map>
#include <string>
#include <utility>

#include "libs/log/log.h"
#include "libs/protojson/protojson.h"

namespace penstock::functions {
namespace {

namespace pb = penstock::functions::v1;

constexpr std::int64_t kMicrosPerSecond = 1'000'000;
constexpr std::int64_t kNanosPerMicro = 1'000;
// The range of google.protobuf.Duration, about 10,000 years.
constexpr std::int64_t kSecondsMax = 315'576'000'000;

using ProtoStrings = google::protobuf::Map<std::string, std::string>;

std::map<std::string, std::string> FromProto(const ProtoStrings& strings) {
  return {strings.begin(), strings.end()};
}

void ToProto(const std::map<std::string, std::string>& strings, ProtoStrings* message) {
  for (const auto& [key, value] : strings) (*message)[key] = value;
}

// Rounds towards less, so that nothing short of the least allowed duration passes for it.
Microseconds FromProto(const google::protobuf::Duration& duration) {
  const std::int64_t seconds = std::clamp(duration.seconds(), -kSecondsMax, kSecondsMax);
  const std::int64_t nanos = duration.nanos();
  const std::int64_t micros = nanos / kNanosPerMicro - (nanos % kNanosPerMicro < 0 ? 1 : 0);
  return Microseconds(seconds * kMicrosPerSecond + micros);
}

void ToProto(Microseconds duration, google::protobuf::Duration* message) {
  message->set_seconds(duration.count() / kMicrosPerSecond);
  message->set_nanos(
      static_cast<std::int32_t>(duration.count() % kMicrosPerSecond * kNanosPerMicro));
}

void ToProto(WallTime time, google::protobuf::Timestamp* message) {
  std::int64_t seconds = ToUnixMicros(time) / kMicrosPerSecond;
  std::int64_t micros = ToUnixMicros(time) % kMicrosPerSecond;
  if (micros < 0) {
    micros += kMicrosPerSecond;
    --seconds;
  }
  message->set_seconds(seconds);
  message->set_nanos(static_cast<std::int32_t>(micros * kNanosPerMicro));
}

HttpFormat FromProto(pb::HttpDriver::Format format) {
  switch (format) {
    case pb::HttpDriver::STRUCTURED: return HttpFormat::kStructured;
    case pb::HttpDriver::RAW: return HttpFormat::kRaw;
    case pb::HttpDriver::CONTEXT: return HttpFormat::kContext;
    default: return HttpFormat::kBinary;
  }
}

pb::HttpDriver::Format ToProto(HttpFormat format) {
  switch (format) {
    case HttpFormat::kStructured: return pb::HttpDriver::STRUCTURED;
    case HttpFormat::kRaw: return pb::HttpDriver::RAW;
    case HttpFormat::kContext: return pb::HttpDriver::CONTEXT;
    case HttpFormat::kBinary: break;
  }
  return pb::HttpDriver::BINARY;
}

HttpDriver FromProto(const pb::HttpDriver& message) {
  HttpDriver http;
  http.url = message.url();
  http.format = FromProto(message.format());
  http.headers = FromProto(message.headers());
  http.signing_secret = message.signing_secret();
  return http;
}

// Zero is how a number that was not set arrives: it means the default.
ProcessDriver FromProto(const pb::ProcessDriver& message) {
  ProcessDriver process;
  process.runtime = message.runtime();
  process.source = message.source();
  process.handler = message.handler();
  process.command.assign(message.command().begin(), message.command().end());
  if (message.max_workers() != 0) process.max_workers = message.max_workers();
  if (message.has_idle_timeout()) process.idle_timeout = FromProto(message.idle_timeout());
  if (message.max_memory_bytes() != 0) process.max_memory_bytes = message.max_memory_bytes();
  if (message.max_output_bytes() != 0) process.max_output_bytes = message.max_output_bytes();
  process.source_digest = message.source_digest();
  process.entry = message.entry();
  process.min_workers = message.min_workers();
  if (message.max_calls() != 0) process.max_calls = message.max_calls();
  if (message.has_max_cpu_time()) process.max_cpu_time = FromProto(message.max_cpu_time());
  if (message.max_open_files() != 0) process.max_open_files = message.max_open_files();
  process.isolation = {.no_network = message.isolation().network() == pb::ProcessIsolation::NONE,
                       .own_namespaces = message.isolation().own_namespaces(),
                       .own_user = message.isolation().own_user(),
                       .best_effort = message.isolation().best_effort()};
  return process;
}

void ToProto(const HttpDriver& http, pb::HttpDriver* message) {
  message->set_url(http.url);
  message->set_format(ToProto(http.format));
  ToProto(http.headers, message->mutable_headers());
  message->set_signing_secret(http.signing_secret);
}

void ToProto(const ProcessDriver& process, pb::ProcessDriver* message) {
  message->set_runtime(process.runtime);
  message->set_source(process.source);
  message->set_handler(process.handler);
  for (const std::string& argument : process.command) message->add_command(argument);
  message->set_max_workers(process.max_workers);
  ToProto(process.idle_timeout, message->mutable_idle_timeout());
  message->set_max_memory_bytes(process.max_memory_bytes);
  message->set_max_output_bytes(process.max_output_bytes);
  message->set_source_digest(process.source_digest);
  message->set_entry(process.entry);
  message->set_min_workers(process.min_workers);
  message->set_max_calls(process.max_calls);
  if (process.max_cpu_time.count() != 0) {
    ToProto(process.max_cpu_time, message->mutable_max_cpu_time());
  }
  message->set_max_open_files(process.max_open_files);
  if (process.isolation == ProcessIsolation{}) return;
  pb::ProcessIsolation* const isolation = message->mutable_isolation();
  isolation->set_network(process.isolation.no_network ? pb::ProcessIsolation::NONE
                                                      : pb::ProcessIsolation::HOST);
  isolation->set_own_namespaces(process.isolation.own_namespaces);
  isolation->set_own_user(process.isolation.own_user);
  isolation->set_best_effort(process.isolation.best_effort);
}

// As JSON. A value that has no JSON form, like a number without end, is left for the check to
// refuse.
std::string SchemaFromProto(const google::protobuf::Struct& message) {
  auto text = protojson::PrintJson(message);
  return text.ok() ? *std::move(text) : "not JSON";
}

void SchemaToProto(const std::string& schema, google::protobuf::Struct* message) {
  // It was made by SchemaFromProto.
  protojson::ParseJson(schema, message).IgnoreError();
}

// Sets a field of repeated Middleware.
void StepsToProto(const std::string& steps, const char* field, google::protobuf::Message* message) {
  if (steps.empty()) return;
  // It was made by StepsFromProto.
  protojson::ParseJsonField(steps, message->GetDescriptor()->FindFieldByName(field), message)
      .IgnoreError();
}

AsyncDestination FromProto(const pb::AsyncDestination& message) {
  return {message.function(), message.event_type()};
}

// Zero and what is not set mean the default, as elsewhere.
AsyncPolicy FromProto(const pb::AsyncPolicy& message) {
  AsyncPolicy policy;
  if (message.max_attempts() != 0) policy.max_attempts = message.max_attempts();
  if (message.has_initial_delay()) policy.initial_delay = FromProto(message.initial_delay());
  if (message.has_max_delay()) policy.max_delay = FromProto(message.max_delay());
  if (message.has_max_age()) policy.max_age = FromProto(message.max_age());
  policy.on_success = FromProto(message.on_success());
  policy.on_failure = FromProto(message.on_failure());
  policy.callback_url = message.callback_url();
  policy.callback_signing_secret = message.callback_signing_secret();
  return policy;
}

void ToProto(const AsyncDestination& destination, pb::AsyncDestination* message) {
  message->set_function(destination.function);
  message->set_event_type(destination.event_type);
}

void ToProto(const AsyncPolicy& policy, pb::AsyncPolicy* message) {
  message->set_max_attempts(policy.max_attempts);
  ToProto(policy.initial_delay, message->mutable_initial_delay());
  ToProto(policy.max_delay, message->mutable_max_delay());
  ToProto(policy.max_age, message->mutable_max_age());
  if (!policy.on_success.empty()) ToProto(policy.on_success, message->mutable_on_success());
  if (!policy.on_failure.empty()) ToProto(policy.on_failure, message->mutable_on_failure());
  message->set_callback_url(policy.callback_url);
  message->set_callback_signing_secret(policy.callback_signing_secret);
}

void SpecToProto(const FunctionSpec& spec, pb::Function* message) {
  ToProto(spec.metadata, message->mutable_metadata());
  message->set_description(spec.description);
  ToProto(spec.timeout, message->mutable_timeout());
  message->set_max_concurrency(spec.max_concurrency);
  ToProto(spec.environment, message->mutable_environment());
  for (const std::string& secret : spec.secrets) message->add_secrets(secret);
  if (!spec.input_schema.empty()) SchemaToProto(spec.input_schema, message->mutable_input_schema());
  if (!spec.output_schema.empty()) {
    SchemaToProto(spec.output_schema, message->mutable_output_schema());
  }
  StepsToProto(spec.middleware, "middleware", message);
  if (spec.async != AsyncPolicy()) ToProto(spec.async, message->mutable_async());
  if (const auto* http = std::get_if<HttpDriver>(&spec.driver)) {
    ToProto(*http, message->mutable_http());
  } else if (const auto* process = std::get_if<ProcessDriver>(&spec.driver)) {
    ToProto(*process, message->mutable_process());
  } else if (std::holds_alternative<NoopDriver>(spec.driver)) {
    message->mutable_noop();
  } else if (const auto* weighted = std::get_if<WeightedDriver>(&spec.driver)) {
    for (const WeightedTarget& target : weighted->targets) {
      auto* added = message->mutable_weighted()->add_targets();
      added->set_function(target.function);
      added->set_weight(target.weight);
    }
  }
}

}  // namespace

pb::Function::State ToProto(FunctionState state) {
  switch (state) {
    case FunctionState::kDeploying: return pb::Function::DEPLOYING;
    case FunctionState::kReady: return pb::Function::READY;
    case FunctionState::kFailed: return pb::Function::FAILED;
  }
  return pb::Function::STATE_UNSPECIFIED;
}

std::string StepsFromProto(const google::protobuf::RepeatedPtrField<pb::Middleware>& steps) {
  if (steps.empty()) return {};
  std::string text = "[";
  for (const pb::Middleware& step : steps) {
    if (text.size() > 1) text += ',';
    // What has no JSON form, like a number without end, is left for the check to refuse.
    const auto printed = protojson::PrintJson(step);
    text += printed.ok() ? *printed : "not JSON";
  }
  return text + "]";
}

void ToProto(const SpaceMiddleware& middleware, pb::SpaceMiddleware* message) {
  message->set_name(middleware.Name());
  message->set_etag(middleware.Etag());
  if (middleware.generation > 0) ToProto(middleware.update_time, message->mutable_update_time());
  StepsToProto(middleware.steps, "middleware", message);
}

SpecInput FromProto(const pb::Function& message) {
  SpecInput input;
  input.spec.metadata = FromProto(message.metadata());
  if (!input.spec.metadata.empty()) input.fields_set |= kMetadata;
  input.spec.description = message.description();
  if (!message.description().empty()) input.fields_set |= kDescription;
  if (message.has_timeout()) {
    input.spec.timeout = FromProto(message.timeout());
    input.fields_set |= kTimeout;
  }
  input.spec.max_concurrency = message.max_concurrency();
  if (message.max_concurrency() != 0) input.fields_set |= kMaxConcurrency;
  input.spec.environment = FromProto(message.environment());
  if (!input.spec.environment.empty()) input.fields_set |= kEnvironment;
  input.spec.secrets.assign(message.secrets().begin(), message.secrets().end());
  if (!input.spec.secrets.empty()) input.fields_set |= kSecrets;
  if (message.has_input_schema()) {
    input.spec.input_schema = SchemaFromProto(message.input_schema());
    input.fields_set |= kInputSchema;
  }
  if (message.has_output_schema()) {
    input.spec.output_schema = SchemaFromProto(message.output_schema());
    input.fields_set |= kOutputSchema;
  }
  input.spec.middleware = StepsFromProto(message.middleware());
  if (message.middleware_size() > 0) input.fields_set |= kMiddleware;
  if (message.has_async()) {
    input.spec.async = FromProto(message.async());
    input.fields_set |= kAsync;
  }
  switch (message.driver_case()) {
    case pb::Function::kHttp:
      input.spec.driver = FromProto(message.http());
      input.fields_set |= kHttp;
      break;
    case pb::Function::kProcess:
      input.spec.driver = FromProto(message.process());
      input.fields_set |= kProcess;
      break;
    case pb::Function::kNoop:
      input.spec.driver = NoopDriver{};
      input.fields_set |= kNoop;
      break;
    case pb::Function::kWeighted: {
      WeightedDriver weighted;
      for (const pb::WeightedTarget& target : message.weighted().targets()) {
        weighted.targets.push_back({target.function(), target.weight()});
      }
      input.spec.driver = std::move(weighted);
      input.fields_set |= kWeighted;
      break;
    }
    case pb::Function::DRIVER_NOT_SET: break;
  }
  return input;
}

void ToProto(const Function& function, pb::Function* message) {
  message->set_name(function.name.ToString());
  if (function.is_version) *message->mutable_name() += fmt::format("@{}", function.version);
  message->set_uid(function.uid);
  message->set_etag(function.Etag());
  ToProto(function.create_time, message->mutable_create_time());
  ToProto(function.update_time, message->mutable_update_time());
  message->set_creator(function.creator);
  message->set_state(ToProto(function.state));
  message->set_state_reason(function.state_reason);
  message->set_version(function.version);
  for (const TrafficTarget& target : function.traffic) {
    auto* added = message->add_traffic();
    added->set_version(target.version);
    added->set_percent(target.percent);
  }
  for (const auto& [name, alias] : function.aliases) {
    (*message->mutable_aliases())[name] = alias.version;
  }
  SpecToProto(function.spec, message);
}

void ToProto(const Secret& secret, pb::Secret* message) {
  message->set_name(secret.name.ToString());
  for (const std::string& key : secret.keys) message->add_keys(key);
  message->set_etag(secret.Etag());
  ToProto(secret.create_time, message->mutable_create_time());
  ToProto(secret.update_time, message->mutable_update_time());
  ToProto(secret.metadata, message->mutable_metadata());
  message->set_creator(secret.creator);
}

namespace {

// Values that cannot be read are left out: the functions that name them are then refused, and all
// others run.
void AddSecrets(const std::vector<SecretValue>& values, const SecretCipher& cipher,
                penstock::internal::v1::FunctionChange* change) {
  static log::Every limit(std::chrono::seconds(10));
  for (const SecretValue& value : values) {
    auto text = cipher.Open(value.Binding(), value.sealed);
    if (!text.ok()) {
      log::Error(limit, "a secret cannot be read",
                 {{"secret", value.secret.ToString()}, {"error", text.status()}});
      continue;
    }
    // They come by secret.
    const int count = change->secrets_size();
    auto* secret = count > 0 && change->secrets(count - 1).id() == value.secret.id
                       ? change->mutable_secrets(count - 1)
                       : change->add_secrets();
    secret->set_id(value.secret.id);
    (*secret->mutable_values())[value.key] = *std::move(text);
  }
}

}  // namespace

penstock::internal::v1::WatchFunctionsResponse ToProto(const WatchBatch& batch,
                                                       const SecretCipher& cipher) {
  penstock::internal::v1::WatchFunctionsResponse message;
  for (const Change& change : batch.changes) {
    auto* added = message.add_changes();
    added->set_revision(change.function.revision);
    if (change.is_deleted) {
      added->set_deleted(true);
      added->mutable_function()->set_name(change.function.name.ToString());
      added->mutable_function()->set_uid(change.function.uid);
      added->mutable_function()->set_version(change.function.version);
    } else {
      ToProto(change.function, added->mutable_function());
      // The number is in a field of its own: the name is the function's.
      added->mutable_function()->set_name(change.function.name.ToString());
      added->set_older_version(change.function.is_version);
      for (const std::int64_t version : change.kept) added->add_kept_versions(version);
      AddSecrets(change.secrets, cipher, added);
      StepsToProto(change.space_middleware, "space_middleware", added);
    }
  }
  message.set_snapshot_begin(batch.is_snapshot_begin);
  message.set_snapshot_end(batch.is_snapshot_end);
  message.set_revision(batch.revision);
  return message;
}

}  // namespace penstock::functions
