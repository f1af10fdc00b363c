// The flags of `penstock up`, and the settings of the services that they stand for.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "libs/config/listen_address.h"

namespace penstock::cli {

// The listeners that reach out of the process.
enum class Listener { kHttp, kConfig, kGrpc, kAdmin };
inline constexpr std::array<Listener, 4> kListeners = {Listener::kHttp, Listener::kConfig,
                                                       Listener::kGrpc, Listener::kAdmin};

// "http", "config", "grpc", "admin": their names in the ports file.
std::string_view NameOf(Listener listener);
// The key of the setting, for example "gateway.http.listen".
std::string KeyOf(Listener listener);
// The port without a flag.
std::uint16_t DefaultPortOf(Listener listener);

struct UpOptions {
  std::string data_dir = "./penstock-data";
  // A numeric address; empty: 127.0.0.1.
  std::string bind;
  // By listener; not given: from the configuration, else the default. 0: a free one.
  std::array<std::optional<int>, kListeners.size()> ports;
  // "none", "api_keys"; empty: not given.
  std::string auth;
  std::string config_file;
  std::string log_level;
  // Further settings as flags: "--gateway.http.threads=2", "--print-config".
  std::vector<std::string> settings;
};

// UsageError naming the flag: an address that is not numeric, a port out of range, a listener that
// others can reach while nothing was said about authentication.
absl::Status CheckUpOptions(const UpOptions& options);

// The options as flags of config::Load. What composes the suite (folders, in-process addresses)
// comes last, and so wins over every other source.
std::vector<std::string> SettingsOf(const UpOptions& options);

// Where the listeners listen; one that is switched off has no address.
using Listeners = std::array<config::ListenAddress, kListeners.size()>;

// What a setting's text says about a listener: off when it is empty or "inproc:".
absl::StatusOr<config::ListenAddress> ParseListener(std::string_view text);

// Gives each port 0 a free port of its address. Another program may take it before it is used; the
// start then fails, naming it.
absl::Status PickFreePorts(Listeners* listeners);

}  // namespace penstock::cli
