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
  binder.Duration("dedup.window", &config.dedup_window,
                  "how long the same source and id is recognised as a duplicate");
  binder.Int("dedup.entries_max", &config.dedup_entries_max,
             "ids kept for that; under more load the window shrinks", {1000, 100'000'000});
}

}  // namespace penstock::broker
