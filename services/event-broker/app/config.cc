#include "services/event-broker/app/config.h"

#include <fmt/format.h>

#include <string>
#include <vector>

#include "libs/base/names.h"
#include "libs/base/status.h"
#include "libs/config/listen_address.h"
#include "libs/rpc/channel.h"

namespace penstock::broker {

absl::Status Config::Validate() const {
  std::vector<FieldViolation> violations;
  const auto add = [&](const absl::Status& status) {
    for (FieldViolation& violation : FieldViolationsOf(status)) {
      violations.push_back(std::move(violation));
    }
  };
  if (HasListener()) {
    if (const auto parsed = config::ParseListenAddress(grpc_listen); !parsed.ok()) {
      violations.push_back({"grpc.listen", std::string(parsed.status().message())});
    }
  }
  if (data_dir.empty()) violations.push_back({"data_dir", "must not be empty: expected a folder"});
  if (peer_token_file.empty()) {
    violations.push_back({"peer.token_file", "must not be empty: expected a file"});
  }
  add(rpc::CheckAddress("function_manager.address", function_manager_address));
  add(rpc::CheckAddress("function_executor.address", function_executor_address));
  for (std::size_t i = 0; i < spaces_allowed.size(); ++i) {
    add(CheckSpace(fmt::format("spaces.allowed[{}]", i), spaces_allowed[i]));
  }
  return FieldErrors(violations);
}

void Bind(config::Binder& binder, Config& config) {
  binder.String("grpc.listen", &config.grpc_listen,
                "address of the gRPC services; \"inproc:\" for callers in this process only");
  binder.String("data_dir", &config.data_dir, "folder of the log and the state");
  binder.String("peer.token_file", &config.peer_token_file,
                "file with the token that services show each other; created when missing");
  binder.String("function_manager.address", &config.function_manager_address,
                "where the function-manager is");
  binder.String("function_executor.address", &config.function_executor_address,
                "where the function-executors are; every address of the name is used");
  binder.StringList("spaces.allowed", &config.spaces_allowed,
                    "the only spaces; empty allows every id");
  binder.Bytes("events.data_bytes_max", &config.event_data_bytes_max, "largest payload of an event",
               {1024, 1u << 20});
  binder.Bytes("log.segment_bytes", &config.segment_bytes, "size at which a log file is sealed",
               {1u << 20, 1u << 30});
  binder.Duration("log.retention_age", &config.retention_age,
                  "events older than this may go; 0s keeps them for ever");
  binder.Bytes("log.retention_bytes", &config.retention_bytes,
               "the oldest events go when the log is larger; 0 means no limit");
  binder.Duration("log.pin.age_max", &config.pin_age_max,
                  "subscriptions that are behind keep events of up to this age",
                  {std::chrono::seconds(1), Microseconds::max()});
  binder.Bytes("log.pin.bytes_max", &config.pin_bytes_max,
               "and up to this size; 0 is half of log.retention_bytes");
  binder.Enum("log.on_pin_limit", &config.on_pin_limit,
              {{"skip", OnPinLimit::kSkip}, {"refuse", OnPinLimit::kRefuse}},
              "beyond that: skip loses the range as a dead letter of the subscription; refuse "
              "refuses publishes to its space");
  binder.Bytes("log.scrub_bytes_per_second", &config.scrub_bytes_per_second,
               "rate at which sealed log files are read again to find damage; 0 turns it off");
  binder.Duration("log.scrub_interval", &config.scrub_interval,
                  "all of them are read again this often");
  binder.Duration("dedup.window", &config.dedup_window,
                  "how long the same source and id is recognised as a duplicate");
  binder.Int("dedup.entries_max", &config.dedup_entries_max,
             "ids kept for that; under more load the window shrinks", {1000, 100'000'000});
  binder.Int("dead_letters.count_max", &config.dead_letters_max,
             "dead letters of a subscription; beyond it the subscription stops", {1, 100'000'000});
  binder.Bytes("dead_letters.bytes_max", &config.dead_letter_bytes_max,
               "their events; beyond it the subscription stops");
  binder.Int("breaker.failures_min", &config.breaker.failures_min,
             "failures in a row that open a function's breaker", {1, 1'000'000});
  binder.Double("breaker.failure_share", &config.breaker.failure_share,
                "share of failures in breaker.window that opens it too", {0.01, 1});
  binder.Duration("breaker.window", &config.breaker.window, "what breaker.failure_share looks at");
  binder.Duration("breaker.open_first", &config.breaker.open_first,
                  "how long it stays open before a probe; doubled each time that fails");
  binder.Duration("breaker.open_max", &config.breaker.open_max, "no longer than this");
  for (const char* key : {"log.retention_age", "log.retention_bytes", "log.pin.age_max",
                          "log.pin.bytes_max", "log.on_pin_limit"}) {
    binder.Reloadable(key);
  }
}

}  // namespace penstock::broker
