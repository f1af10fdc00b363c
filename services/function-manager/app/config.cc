#include "services/function-manager/app/config.h"

#include <fmt/format.h>

#include <string>
#include <vector>

#include "libs/base/names.h"
#include "libs/base/status.h"
#include "libs/config/listen_address.h"

namespace penstock::functions {

absl::Status Config::Validate() const {
  std::vector<FieldViolation> violations;
  if (HasListener()) {
    if (const auto parsed = config::ParseListenAddress(grpc_listen); !parsed.ok()) {
      violations.push_back({"grpc.listen", std::string(parsed.status().message())});
    }
  }
  if (data_dir.empty()) violations.push_back({"data_dir", "must not be empty: expected a folder"});
  if (peer_token_file.empty()) {
    violations.push_back({"peer.token_file", "must not be empty: expected a file"});
  }
  if (!secrets_key_file.empty() && !secrets_key.empty()) {
    violations.push_back({"secrets.key", "must not be set together with secrets.key_file"});
  }
  for (std::size_t i = 0; i < spaces_allowed.size(); ++i) {
    const absl::Status checked =
        CheckSpace(fmt::format("spaces.allowed[{}]", i), spaces_allowed[i]);
    for (FieldViolation& violation : FieldViolationsOf(checked)) {
      violations.push_back(std::move(violation));
    }
  }
  return FieldErrors(violations);
}

void Bind(config::Binder& binder, Config& config) {
  binder.String("grpc.listen", &config.grpc_listen,
                "address of the gRPC services; \"inproc:\" for callers in this process only");
  binder.String("data_dir", &config.data_dir, "folder of the database");
  binder.String("peer.token_file", &config.peer_token_file,
                "file with the token that services show each other; created when missing");
  binder.StringList("spaces.allowed", &config.spaces_allowed,
                    "the only spaces; empty allows every id");
  binder.Int("functions.versions_kept", &config.versions_kept,
             "versions of a function that are kept although nothing names them", {1, 1000});
  binder.String("secrets.key_file", &config.secrets_key_file,
                "file of mode 0600 with the keys that encrypt secrets; the first is the current");
  binder.Secret("secrets.key", &config.secrets_key,
                "the keys in place of a file; meant for the environment");
  binder.Bytes("sources.bytes_max", &config.sources_bytes_max, "largest source of a function",
               {1024, std::size_t{1} << 30});
  binder.Duration("sources.grace", &config.sources_grace,
                  "how long a source stays that no version of a function names",
                  {Microseconds(1'000'000), Microseconds(400LL * 86'400 * 1'000'000)});
}

}  // namespace penstock::functions
