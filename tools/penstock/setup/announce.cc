#include "tools/penstock/setup/announce.h"

#include <fmt/format.h>

#include <cerrno>
#include <cstring>
#include <filesystem>
#include <fstream>

#include "libs/protojson/json_writer.h"

namespace penstock::cli {
namespace {

// The address at which this machine reaches a listener.
std::string Reachable(config::ListenAddress listen) {
  if (listen.address == "0.0.0.0") listen.address = "127.0.0.1";
  if (listen.address == "::") listen.address = "::1";
  return listen.ToString();
}

}  // namespace

std::string BannerOf(const Announcement& announcement) {
  std::string text =
      fmt::format("\nPenstock {} is running. Ctrl-C stops it.\n\n", announcement.version);
  const auto add = [&](Listener listener, std::string_view form) {
    const config::ListenAddress& listen =
        announcement.listeners[static_cast<std::size_t>(listener)];
    if (!listen.address.empty()) {
      text += fmt::format(fmt::runtime(form), Reachable(listen)) + "\n";
    }
  };
  add(Listener::kHttp, "  HTTP and REST   http://{}");
  add(Listener::kGrpc, "  gRPC            {}");
  add(Listener::kConfig, "  config API      http://{}/v1");
  add(Listener::kAdmin, "  admin           http://{}/readyz and /metrics");
  text += fmt::format("  data            {}\n", announcement.data_dir);
  text += fmt::format(
      "  functions may call {}, but not Penstock's own ports\n\n",
      announcement.is_loopback_allowed ? "this machine's loopback addresses" : "public addresses");
  const config::ListenAddress& grpc =
      announcement.listeners[static_cast<std::size_t>(Listener::kGrpc)];
  if (grpc.address.empty()) return text;
  text += "Try it in another terminal:\n\n";
  if (const std::string server = Reachable(grpc); server != "127.0.0.1:8082") {
    text += fmt::format("  export PENSTOCK_SERVER={}\n", server);
  }
  if (announcement.has_auth) text += "  export PENSTOCK_TOKEN=<your API key>\n";
  const std::string& program = announcement.program;
  text +=
      "  echo 'def handle(ctx, payload): print(\"hello\", payload); return payload' > hello.py\n";
  text += fmt::format("  {} function create hello --source hello.py --subscribe user.created\n",
                      program);
  text += fmt::format("  {} emit user.created --data '{{\"name\": \"Ada\"}}'\n", program);
  text += fmt::format("  {} function logs hello\n\n", program);
  return text;
}

std::string PortsJsonOf(const Announcement& announcement, int pid) {
  std::string json;
  protojson::JsonWriter writer(&json, /*pretty=*/true);
  const auto for_each = [&](auto write) {
    for (const Listener listener : kListeners) {
      const auto& listen = announcement.listeners[static_cast<std::size_t>(listener)];
      if (listen.address.empty()) continue;
      writer.Key(NameOf(listener));
      write(listen);
    }
  };
  writer.BeginObject();
  writer.Key("pid");
  writer.Int(pid);
  for_each([&](const config::ListenAddress& listen) { writer.Uint(listen.port); });
  writer.Key("addresses");
  writer.BeginObject();
  for_each([&](const config::ListenAddress& listen) { writer.String(Reachable(listen)); });
  writer.EndObject();
  writer.EndObject();
  return json + "\n";
}

std::string PortsFileOf(std::string_view data_dir) {
  return (std::filesystem::path(data_dir) / "penstock.ports.json").string();
}

absl::Status WriteFile(const std::string& path, std::string_view text) {
  const std::string temporary = path + ".new";
  errno = 0;
  {
    std::ofstream file(temporary, std::ios::binary | std::ios::trunc);
    file << text;
    file.close();
    if (!file) {
      return absl::UnavailableError(
          fmt::format("{}: cannot be written: {}", temporary, std::strerror(errno)));
    }
  }
  std::error_code error;
  std::filesystem::rename(temporary, path, error);
  if (error) {
    return absl::UnavailableError(fmt::format("{}: cannot be written: {}", path, error.message()));
  }
  return absl::OkStatus();
}

}  // namespace penstock::cli
