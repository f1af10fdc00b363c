// The settings of the event-broker.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "libs/config/binder.h"
#include "services/event-broker/domain/delivery/engine_options.h"
#include "services/event-broker/storage/retention_rules.h"

namespace penstock::broker {

struct Config {
  // "host:port"; empty or "inproc:" serves callers in this process only.
  std::string grpc_listen = "127.0.0.1:9020";
  // Holds the log and the state; one process at a time.
  std::string data_dir = "./penstock-data/event-broker";
  // The token that services show each other; created when it is missing.
  std::string peer_token_file = "./penstock-data/peer.token";
  std::string function_manager_address = "127.0.0.1:9030";
  // May resolve to several addresses: deliveries are spread over all of them.
  std::string function_executor_address = "127.0.0.1:9040";
  // The only spaces that there are; empty: every id is a space.
  std::vector<std::string> spaces_allowed;

  std::uint64_t event_data_bytes_max = 1u << 20;
  std::uint64_t segment_bytes = 128u << 20;
  // Events older than this may go, unless a subscription still needs them. Zero: kept for ever.
  std::chrono::seconds retention_age{7 * 86'400};
  // The oldest events go when the log is larger. Zero: no limit.
  std::uint64_t retention_bytes = 0;
  // What readers that are behind may hold back of the log. Bytes zero: half of retention_bytes.
  std::chrono::seconds pin_age_max{14 * 86'400};
  std::uint64_t pin_bytes_max = 0;
  OnPinLimit on_pin_limit = OnPinLimit::kSkip;
  // Sealed segments are read again and verified at this rate. Zero: never.
  std::uint64_t scrub_bytes_per_second = 8u << 20;
  std::chrono::seconds scrub_interval{86'400};
  std::chrono::seconds dedup_window{300};
  std::uint64_t dedup_entries_max = 4'000'000;

  // Of a subscription: beyond either it stops until some are redriven or purged.
  std::uint64_t dead_letters_max = 100'000;
  std::uint64_t dead_letter_bytes_max = 1u << 30;
  // When a function's breaker opens and for how long.
  BreakerOptions breaker;

  // INVALID_ARGUMENT naming the keys.
  absl::Status Validate() const;

  // True when there is a network listener.
  bool HasListener() const { return !grpc_listen.empty() && grpc_listen != "inproc:"; }
};

// Binds every field to its key.
void Bind(config::Binder& binder, Config& config);

}  // namespace penstock::broker
