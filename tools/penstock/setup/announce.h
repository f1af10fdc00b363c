// What `penstock up` tells people and tools about where it listens.
#pragma once

#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "tools/penstock/setup/up_options.h"

namespace penstock::cli {

struct Announcement {
  Listeners listeners;
  std::string data_dir;
  // How the program was called, for commands to copy.
  std::string program = "penstock";
  std::string version;
  // Whether calls need an API key.
  bool has_auth = false;
  // Whether functions may call this machine.
  bool is_loopback_allowed = true;
};

// The text that is printed once everything serves: addresses, and four commands to try.
std::string BannerOf(const Announcement& announcement);

// {"pid": …, "http": 8080, "config": 8081, "grpc": 8082, "admin": 8083, "addresses": {"http": …}};
// without the listeners that are off.
std::string PortsJsonOf(const Announcement& announcement, int pid);

// `<data_dir>/penstock.ports.json`.
std::string PortsFileOf(std::string_view data_dir);

// Replaces the file in one step, so that a reader never sees half of it. The error names the path.
absl::Status WriteFile(const std::string& path, std::string_view text);

}  // namespace penstock::cli
