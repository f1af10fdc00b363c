// The settings of the function-manager.
#pragma once

#include <cstddef>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "libs/base/time.h"
#include "libs/config/binder.h"
#include "libs/log/secret.h"

namespace penstock::functions {

struct Config {
  // "host:port"; empty or "inproc:" serves callers in this process only.
  std::string grpc_listen = "127.0.0.1:9030";
  // Holds the database; one process at a time.
  std::string data_dir = "./penstock-data/function-manager";
  // The token that services show each other; created when it is missing.
  std::string peer_token_file = "./penstock-data/peer.token";
  // The only spaces that there are; empty: every id is a space.
  std::vector<std::string> spaces_allowed;

  // Versions of a function that stay although neither traffic nor an alias nor a subscription names
  // them: the last ones.
  int versions_kept = 20;
  // The keys that encrypt secrets: in a file, or, from the environment, in place of it.
  std::string secrets_key_file;
  log::Secret secrets_key;
  // The largest source that can be uploaded, and how long one stays that no version names.
  std::size_t sources_bytes_max = std::size_t{64} << 20;
  Microseconds sources_grace{3600 * 1'000'000LL};
  // Not a key: whether the file is made when it is missing.
  bool makes_secrets_key = false;

  // INVALID_ARGUMENT naming the keys.
  absl::Status Validate() const;

  // True when there is a network listener.
  bool HasListener() const { return !grpc_listen.empty() && grpc_listen != "inproc:"; }
};

// Binds grpc.listen, data_dir, peer.token_file, spaces.allowed, functions.versions_kept, secrets.*
// and sources.*.
void Bind(config::Binder& binder, Config& config);

}  // namespace penstock::functions
