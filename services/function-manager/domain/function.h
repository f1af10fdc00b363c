// Functions as plain values: what the rules, the ports and the faces of the function-manager share.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "libs/base/time.h"

namespace penstock::functions {

inline constexpr std::string_view kCollection = "functions";

// Names a function. Both parts were checked by whoever made it.
struct FunctionName {
  std::string space;
  std::string id;

  // "spaces/{space}/functions/{id}".
  std::string ToString() const;

  friend bool operator==(const FunctionName&, const FunctionName&) = default;
  friend auto operator<=>(const FunctionName&, const FunctionName&) = default;
};

// How an event is sent to a URL.
enum class HttpFormat : std::uint8_t { kBinary, kStructured, kRaw, kContext };

// A function behind a URL.
struct HttpDriver {
  std::string url;
  HttpFormat format = HttpFormat::kBinary;
  std::map<std::string, std::string> headers;
  std::string signing_secret{};  // An id; empty: requests are not signed.

  friend bool operator==(const HttpDriver&, const HttpDriver&) = default;
};

// What a process function's workers are kept from.
struct ProcessIsolation {
  bool no_network = false;
  bool own_namespaces = false;
  bool own_user = false;
  bool best_effort = false;

  friend bool operator==(const ProcessIsolation&, const ProcessIsolation&) = default;
};

// A function that runs as a local worker process of the executor.
struct ProcessDriver {
  static constexpr std::int32_t kMaxWorkersDefault = 4;
  static constexpr Microseconds kIdleTimeoutDefault{300'000'000};
  static constexpr std::int64_t kMaxMemoryDefault = std::int64_t{512} << 20;
  static constexpr std::int64_t kMaxOutputDefault = std::int64_t{1} << 20;
  static constexpr std::int64_t kMaxCallsDefault = 10'000;
  static constexpr std::int32_t kMaxOpenFilesDefault = 1024;
  static constexpr std::string_view kHandlerDefault = "handle";

  std::string runtime;
  std::string source;
  std::string source_digest;  // In place of `source`.
  std::string entry;          // The file in the archive that `source_digest` then is.
  std::string handler;        // Empty for runtime "exec", else filled by FillDefaults.
  std::vector<std::string> command;
  std::int32_t max_workers = kMaxWorkersDefault;
  Microseconds idle_timeout = kIdleTimeoutDefault;
  std::int64_t max_memory_bytes = kMaxMemoryDefault;
  std::int64_t max_output_bytes = kMaxOutputDefault;
  std::int32_t min_workers = 0;
  std::int64_t max_calls = kMaxCallsDefault;
  Microseconds max_cpu_time{0};  // 0: as the timeout allows.
  std::int32_t max_open_files = kMaxOpenFilesDefault;
  ProcessIsolation isolation;

  friend bool operator==(const ProcessDriver&, const ProcessDriver&) = default;
};

// A function that answers at once.
struct NoopDriver {
  friend bool operator==(const NoopDriver&, const NoopDriver&) = default;
};

// A function of the same space, with its share of the calls.
struct WeightedTarget {
  std::string function;
  std::int32_t weight = 0;

  friend bool operator==(const WeightedTarget&, const WeightedTarget&) = default;
};

// A split over other functions.
struct WeightedDriver {
  std::vector<WeightedTarget> targets;

  friend bool operator==(const WeightedDriver&, const WeightedDriver&) = default;
};

// std::monostate means that none was given.
using Driver = std::variant<std::monostate, HttpDriver, ProcessDriver, NoopDriver, WeightedDriver>;

// Where the result of an asynchronous invocation goes; both empty for nowhere.
struct AsyncDestination {
  std::string function;
  std::string event_type;

  bool empty() const { return function.empty() && event_type.empty(); }
  friend bool operator==(const AsyncDestination&, const AsyncDestination&) = default;
};

// What asynchronous invocations do.
struct AsyncPolicy {
  std::int32_t max_attempts = 10;
  Microseconds initial_delay{1'000'000};
  Microseconds max_delay{300'000'000};
  Microseconds max_age{86'400'000'000};
  AsyncDestination on_success;
  AsyncDestination on_failure;
  std::string callback_url;
  std::string callback_signing_secret{};  // An id; empty: callbacks are not signed.

  friend bool operator==(const AsyncPolicy&, const AsyncPolicy&) = default;
};

// What a user decides about a function; each change of it is a new version.
struct FunctionSpec {
  static constexpr Microseconds kTimeoutDefault{30'000'000};

  std::map<std::string, std::string> metadata;
  std::string description;
  Microseconds timeout = kTimeoutDefault;
  std::int32_t max_concurrency = 0;  // 0: no limit of its own.
  std::map<std::string, std::string> environment;
  std::vector<std::string> secrets;  // Ids in the function's space.
  std::string input_schema;          // JSON; empty for none.
  std::string output_schema;         // The same.
  // A JSON array of the steps, each in the JSON form of its message; empty for none.
  std::string middleware;
  AsyncPolicy async;
  Driver driver;

  friend bool operator==(const FunctionSpec&, const FunctionSpec&) = default;
};

// A secret that a function names, and where.
struct NamedSecret {
  std::string field;
  std::string id;
};

// Those that the function is given, and those that sign for it.
std::vector<NamedSecret> SecretsNamedBy(const FunctionSpec& spec);

enum class FunctionState : std::uint8_t { kDeploying, kReady, kFailed };

// That of a version that was just made.
FunctionState StateOfNew(const FunctionSpec& spec);

// A version's share of the calls by the function's name.
struct TrafficTarget {
  std::int64_t version = 0;
  std::int32_t percent = 0;

  friend bool operator==(const TrafficTarget&, const TrafficTarget&) = default;
};

// What an alias stands for. `generation` is the function's when it was set.
struct Alias {
  std::int64_t version = 0;
  std::int64_t generation = 0;

  friend bool operator==(const Alias&, const Alias&) = default;
};

// A function with its newest version, or one version of it.
struct Function {
  FunctionName name;
  std::string
      uid;  // New for each creation; empty in the answer to a creation that is only checked.
  std::int64_t version = 1;     // Counts the versions of this uid.
  std::int64_t revision = 0;    // The manager's of the last change; of a version: when it was made.
  std::int64_t generation = 1;  // Counts the changes of this uid: versions, traffic and aliases.
  WallTime create_time{};
  WallTime update_time{};
  std::string creator;
  FunctionState state = FunctionState::kReady;
  std::string state_reason;
  FunctionSpec spec;
  std::vector<TrafficTarget> traffic;  // Empty: the newest version gets all calls.
  std::map<std::string, Alias> aliases;
  // True for what was read as one version: it has no generation, traffic and aliases.
  bool is_version = false;

  // Short and opaque; differs between generations and between creations. Empty without a uid, and
  // for a version, which never changes.
  std::string Etag() const;
  std::string AliasEtag(const std::string& alias) const;

  friend bool operator==(const Function&, const Function&) = default;
};

// About how many bytes `function` takes in a message. For bounds on pages.
std::size_t ByteSize(const Function& function);

// A resource that needs a function: it cannot be deleted meanwhile.
struct Hold {
  FunctionName function;
  std::string tag;      // The version or alias that is needed; empty for none of its own.
  std::string holder;   // A resource name, for example "spaces/default/subscriptions/s1".
  std::string service;  // Whose resource the holder is, for example "event-broker".

  friend bool operator==(const Hold&, const Hold&) = default;
  friend auto operator<=>(const Hold&, const Hold&) = default;
};

}  // namespace penstock::functions
