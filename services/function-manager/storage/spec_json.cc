#include "services/function-manager/storage/spec_json.h"

#include <fmt/format.h>

#include <boost/json.hpp>
#include <cstdint>
#include <exception>
#include <utility>
#include <vector>

namespace penstock::functions {
namespace {

namespace json = boost::json;

using Strings = std::map<std::string, std::string>;

constexpr const char* FormatName(HttpFormat format) {
  switch (format) {
    case HttpFormat::kStructured: return "structured";
    case HttpFormat::kRaw: return "raw";
    case HttpFormat::kContext: return "context";
    case HttpFormat::kBinary: break;
  }
  return "binary";
}

HttpFormat FormatOf(std::string_view name) {
  for (const HttpFormat format :
       {HttpFormat::kStructured, HttpFormat::kRaw, HttpFormat::kContext}) {
    if (name == FormatName(format)) return format;
  }
  return HttpFormat::kBinary;
}

json::object ObjectOf(const Strings& strings) {
  json::object object;
  for (const auto& [key, value] : strings) object.emplace(key, value);
  return object;
}

std::string TextOf(const json::value& value) { return std::string(value.as_string()); }

Strings StringsOf(const json::value& value) {
  Strings strings;
  for (const auto& member : value.as_object()) {
    strings.emplace(std::string(member.key()), TextOf(member.value()));
  }
  return strings;
}

json::object HttpToJson(const HttpDriver& http) {
  json::object object{
      {"url", http.url}, {"format", FormatName(http.format)}, {"headers", ObjectOf(http.headers)}};
  // The store looks for this one by its name.
  if (!http.signing_secret.empty()) object.emplace("signingSecret", http.signing_secret);
  return object;
}

HttpDriver HttpFromJson(const json::object& object) {
  HttpDriver http;
  http.url = TextOf(object.at("url"));
  http.format = FormatOf(TextOf(object.at("format")));
  http.headers = StringsOf(object.at("headers"));
  if (const json::value* secret = object.if_contains("signingSecret")) {
    http.signing_secret = TextOf(*secret);
  }
  return http;
}

json::object ProcessToJson(const ProcessDriver& process) {
  json::array command;
  for (const std::string& argument : process.command) command.emplace_back(argument);
  json::object object{{"runtime", process.runtime},
                      {"source", process.source},
                      {"handler", process.handler},
                      {"command", std::move(command)},
                      {"maxWorkers", process.max_workers},
                      {"idleTimeoutMicros", process.idle_timeout.count()},
                      {"maxMemoryBytes", process.max_memory_bytes},
                      {"maxOutputBytes", process.max_output_bytes}};
  // The store looks for this one by its name.
  if (!process.source_digest.empty()) object.emplace("sourceDigest", process.source_digest);
  if (!process.entry.empty()) object.emplace("entry", process.entry);
  object.emplace("minWorkers", process.min_workers);
  object.emplace("maxCalls", process.max_calls);
  object.emplace("maxCpuTimeMicros", process.max_cpu_time.count());
  object.emplace("maxOpenFiles", process.max_open_files);
  if (process.isolation != ProcessIsolation{}) {
    object.emplace("isolation", json::object{{"noNetwork", process.isolation.no_network},
                                             {"ownNamespaces", process.isolation.own_namespaces},
                                             {"ownUser", process.isolation.own_user},
                                             {"bestEffort", process.isolation.best_effort}});
  }
  return object;
}

ProcessDriver ProcessFromJson(const json::object& object) {
  ProcessDriver process;
  process.runtime = TextOf(object.at("runtime"));
  process.source = TextOf(object.at("source"));
  process.handler = TextOf(object.at("handler"));
  for (const json::value& argument : object.at("command").as_array()) {
    process.command.push_back(TextOf(argument));
  }
  process.max_workers = json::value_to<std::int32_t>(object.at("maxWorkers"));
  process.idle_timeout = Microseconds(json::value_to<std::int64_t>(object.at("idleTimeoutMicros")));
  process.max_memory_bytes = json::value_to<std::int64_t>(object.at("maxMemoryBytes"));
  process.max_output_bytes = json::value_to<std::int64_t>(object.at("maxOutputBytes"));
  // What was stored before there was this has none of the following.
  if (const json::value* digest = object.if_contains("sourceDigest")) {
    process.source_digest = TextOf(*digest);
  }
  if (const json::value* entry = object.if_contains("entry")) process.entry = TextOf(*entry);
  if (object.contains("minWorkers")) {
    process.min_workers = json::value_to<std::int32_t>(object.at("minWorkers"));
    process.max_calls = json::value_to<std::int64_t>(object.at("maxCalls"));
    process.max_cpu_time =
        Microseconds(json::value_to<std::int64_t>(object.at("maxCpuTimeMicros")));
    process.max_open_files = json::value_to<std::int32_t>(object.at("maxOpenFiles"));
  }
  if (const json::value* isolation = object.if_contains("isolation")) {
    const json::object& of = isolation->as_object();
    process.isolation = {.no_network = of.at("noNetwork").as_bool(),
                         .own_namespaces = of.at("ownNamespaces").as_bool(),
                         .own_user = of.at("ownUser").as_bool(),
                         .best_effort = of.at("bestEffort").as_bool()};
  }
  return process;
}

json::object DestinationToJson(const AsyncDestination& destination) {
  return {{"function", destination.function}, {"eventType", destination.event_type}};
}

AsyncDestination DestinationFromJson(const json::value& value) {
  return {TextOf(value.as_object().at("function")), TextOf(value.as_object().at("eventType"))};
}

json::object AsyncToJson(const AsyncPolicy& policy) {
  json::object object{{"maxAttempts", policy.max_attempts},
                      {"initialDelayMicros", policy.initial_delay.count()},
                      {"maxDelayMicros", policy.max_delay.count()},
                      {"maxAgeMicros", policy.max_age.count()},
                      {"onSuccess", DestinationToJson(policy.on_success)},
                      {"onFailure", DestinationToJson(policy.on_failure)},
                      {"callbackUrl", policy.callback_url}};
  // The store looks for this one by its name.
  if (!policy.callback_signing_secret.empty()) {
    object.emplace("callbackSigningSecret", policy.callback_signing_secret);
  }
  return object;
}

AsyncPolicy AsyncFromJson(const json::object& object) {
  const auto micros = [&](const char* name) {
    return Microseconds(json::value_to<std::int64_t>(object.at(name)));
  };
  AsyncPolicy policy;
  policy.max_attempts = json::value_to<std::int32_t>(object.at("maxAttempts"));
  policy.initial_delay = micros("initialDelayMicros");
  policy.max_delay = micros("maxDelayMicros");
  policy.max_age = micros("maxAgeMicros");
  policy.on_success = DestinationFromJson(object.at("onSuccess"));
  policy.on_failure = DestinationFromJson(object.at("onFailure"));
  policy.callback_url = TextOf(object.at("callbackUrl"));
  if (const json::value* secret = object.if_contains("callbackSigningSecret")) {
    policy.callback_signing_secret = TextOf(*secret);
  }
  return policy;
}

json::array WeightedToJson(const WeightedDriver& weighted) {
  json::array targets;
  for (const WeightedTarget& target : weighted.targets) {
    targets.emplace_back(json::object{{"function", target.function}, {"weight", target.weight}});
  }
  return targets;
}

WeightedDriver WeightedFromJson(const json::array& targets) {
  WeightedDriver weighted;
  for (const json::value& value : targets) {
    const json::object& target = value.as_object();
    weighted.targets.push_back(
        {TextOf(target.at("function")), json::value_to<std::int32_t>(target.at("weight"))});
  }
  return weighted;
}

FunctionSpec SpecFrom(const json::object& object) {
  FunctionSpec spec;
  spec.description = TextOf(object.at("description"));
  spec.timeout = Microseconds(json::value_to<std::int64_t>(object.at("timeoutMicros")));
  spec.max_concurrency = json::value_to<std::int32_t>(object.at("maxConcurrency"));
  spec.environment = StringsOf(object.at("environment"));
  if (const json::value* secrets = object.if_contains("secrets")) {
    for (const json::value& secret : secrets->as_array()) spec.secrets.push_back(TextOf(secret));
  }
  // Not in what was stored before there were schemas.
  if (const json::value* schema = object.if_contains("inputSchema")) {
    spec.input_schema = TextOf(*schema);
  }
  if (const json::value* schema = object.if_contains("outputSchema")) {
    spec.output_schema = TextOf(*schema);
  }
  if (const json::value* steps = object.if_contains("middleware")) {
    spec.middleware = TextOf(*steps);
  }
  if (const json::value* async = object.if_contains("async")) {
    spec.async = AsyncFromJson(async->as_object());
  }
  if (const json::value* http = object.if_contains("http")) {
    spec.driver = HttpFromJson(http->as_object());
  } else if (const json::value* process = object.if_contains("process")) {
    spec.driver = ProcessFromJson(process->as_object());
  } else if (object.contains("noop")) {
    spec.driver = NoopDriver{};
  } else if (const json::value* weighted = object.if_contains("weighted")) {
    spec.driver = WeightedFromJson(weighted->as_array());
  }
  return spec;
}

// Runs `read` on the parsed text; every way in which it can be wrong is DATA_LOSS.
template <typename Read>
auto Parsed(std::string_view text, const Read& read)
    -> absl::StatusOr<decltype(read(std::declval<const json::value&>()))> {
  try {
    return read(json::parse({text.data(), text.size()}));
  } catch (const std::exception& error) {
    return absl::DataLossError(
        fmt::format("a stored function cannot be read: {}", std::string(error.what())));
  }
}

}  // namespace

std::string SpecToJson(const FunctionSpec& spec) {
  json::object object{{"description", spec.description},
                      {"timeoutMicros", spec.timeout.count()},
                      {"maxConcurrency", spec.max_concurrency},
                      {"environment", ObjectOf(spec.environment)}};
  if (!spec.secrets.empty()) object.emplace("secrets", json::value_from(spec.secrets));
  if (!spec.input_schema.empty()) object.emplace("inputSchema", spec.input_schema);
  if (!spec.output_schema.empty()) object.emplace("outputSchema", spec.output_schema);
  if (!spec.middleware.empty()) object.emplace("middleware", spec.middleware);
  if (spec.async != AsyncPolicy()) object.emplace("async", AsyncToJson(spec.async));
  if (const auto* http = std::get_if<HttpDriver>(&spec.driver)) {
    object.emplace("http", HttpToJson(*http));
  } else if (const auto* process = std::get_if<ProcessDriver>(&spec.driver)) {
    object.emplace("process", ProcessToJson(*process));
  } else if (std::holds_alternative<NoopDriver>(spec.driver)) {
    object.emplace("noop", json::object());
  } else if (const auto* weighted = std::get_if<WeightedDriver>(&spec.driver)) {
    // The store looks for this one by its name.
    object.emplace("weighted", WeightedToJson(*weighted));
  }
  return json::serialize(object);
}

absl::StatusOr<FunctionSpec> SpecFromJson(std::string_view text) {
  return Parsed(text, [](const json::value& value) { return SpecFrom(value.as_object()); });
}

std::string TrafficToJson(const std::vector<TrafficTarget>& traffic) {
  json::array array;
  for (const TrafficTarget& target : traffic) {
    array.emplace_back(json::array{target.version, target.percent});
  }
  return json::serialize(array);
}

absl::StatusOr<std::vector<TrafficTarget>> TrafficFromJson(std::string_view text) {
  return Parsed(text, [](const json::value& value) {
    std::vector<TrafficTarget> traffic;
    for (const json::value& entry : value.as_array()) {
      traffic.push_back({json::value_to<std::int64_t>(entry.as_array().at(0)),
                         json::value_to<std::int32_t>(entry.as_array().at(1))});
    }
    return traffic;
  });
}

std::string AliasesToJson(const std::map<std::string, Alias>& aliases) {
  json::object object;
  for (const auto& [name, alias] : aliases) {
    object.emplace(name, json::array{alias.version, alias.generation});
  }
  return json::serialize(object);
}

absl::StatusOr<std::map<std::string, Alias>> AliasesFromJson(std::string_view text) {
  return Parsed(text, [](const json::value& value) {
    std::map<std::string, Alias> aliases;
    for (const auto& member : value.as_object()) {
      aliases[std::string(member.key())] = {
          json::value_to<std::int64_t>(member.value().as_array().at(0)),
          json::value_to<std::int64_t>(member.value().as_array().at(1))};
    }
    return aliases;
  });
}

std::string StringsToJson(const Strings& strings) { return json::serialize(ObjectOf(strings)); }

absl::StatusOr<Strings> StringsFromJson(std::string_view text) {
  return Parsed(text, [](const json::value& value) { return StringsOf(value); });
}

}  // namespace penstock::functions
