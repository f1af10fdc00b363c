#include "tools/penstock/up/up_command.h"

#include <fmt/format.h>
#include <unistd.h>

#include <filesystem>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "libs/base/status.h"
#include "libs/config/load.h"
#include "libs/config/version.h"
#include "libs/lifecycle/admin_server.h"
#include "libs/lifecycle/config_reload.h"
#include "libs/lifecycle/process_config.h"
#include "libs/log/log.h"
#include "libs/metrics/metrics.h"
#include "tools/penstock/setup/announce.h"
#include "tools/penstock/setup/up_options.h"
#include "tools/penstock/up/suite.h"

namespace penstock::cli {
namespace {

constexpr char kExamples[] =
    R"(  penstock up
  penstock up --data-dir /var/lib/penstock --log-level warn
  penstock up --http-port 0 --config-port 0 --grpc-port 0 --admin-port 0   free ports, see <data-dir>/penstock.ports.json
  penstock up --bind 0.0.0.0 --auth api_keys --gateway.auth_keys_file keys.txt
  penstock up --print-config                                               every setting with its value
Every setting is a flag too: penstock up --event_broker.log.retention_age=1d)";

const config::Program kUp{"penstock up", "", "Runs all of Penstock in one process."};

// The settings of the whole process.
struct Settings {
  explicit Settings(const UpOptions& options) {
    suite.data_dir = options.data_dir;
    process.admin_listen = {"127.0.0.1", DefaultPortOf(Listener::kAdmin)};
  }

  SuiteConfig suite;
  lifecycle::ProcessConfig process;
};

void Bind(config::Binder& binder, Settings& settings) {
  lifecycle::BindProcessConfig(binder, &settings.process);
  Bind(binder, settings.suite);
}

// The value of a dotted key in the present values.
const config::Value* Find(const config::Value& root, std::string_view key) {
  const config::Value* value = &root;
  while (value != nullptr && !key.empty()) {
    const std::size_t dot = std::min(key.find('.'), key.size());
    value = value->Find(key.substr(0, dot));
    key.remove_prefix(std::min(dot + 1, key.size()));
  }
  return value;
}

absl::StatusOr<Listeners> ReadListeners(const config::Binder& binder) {
  const config::Value values = binder.WriteMap();
  Listeners listeners;
  for (const Listener listener : kListeners) {
    const config::Value* const value = Find(values, KeyOf(listener));
    if (value == nullptr) return absl::InternalError(KeyOf(listener) + " is not a setting");
    ASSIGN_OR_RETURN(listeners[static_cast<std::size_t>(listener)], ParseListener(value->text));
  }
  return listeners;
}

// Writes the chosen addresses back into the settings.
absl::Status WriteListeners(const Listeners& listeners, config::Binder& binder) {
  config::Problems problems;
  for (const Listener listener : kListeners) {
    const config::ListenAddress& listen = listeners[static_cast<std::size_t>(listener)];
    if (listen.address.empty()) continue;
    config::Value value = config::Value::Scalar(listen.ToString(), /*quoted=*/true);
    std::string rest = KeyOf(listener);
    for (std::size_t dot = rest.rfind('.'); !rest.empty(); dot = rest.rfind('.')) {
      config::Value map = config::Value::Map();
      const std::size_t begin = dot == std::string::npos ? 0 : dot + 1;
      map.Add(rest.substr(begin), std::move(value));
      value = std::move(map);
      rest.resize(begin == 0 ? 0 : dot);
    }
    binder.ReadMap(value, "", problems);
  }
  return problems.ToStatus();
}

// While nobody but this machine can reach Penstock, functions on this machine can be called.
// Penstock itself never can: that would be a way around its own listeners' rules. True when the
// former holds.
bool LimitEgress(const Listeners& listeners, executor::Config& config) {
  bool is_local = true;
  for (const config::ListenAddress& listener : listeners) {
    if (listener.address.empty()) continue;
    is_local = is_local && listener.IsLoopback();
    config.egress_denied_ports.push_back(std::to_string(listener.port));
  }
  if (is_local) {
    config.egress_allow.insert(config.egress_allow.end(), {"127.0.0.0/8", "::1/128"});
  }
  return is_local;
}

// Says where the suite listens.
absl::Status Announce(const std::string& ports_file, const Announcement& announcement,
                      Context& context) {
  RETURN_IF_ERROR(WriteFile(ports_file, PortsJsonOf(announcement, getpid())));
  log::Flush();
  context.io.out << BannerOf(announcement) << std::flush;
  return absl::OkStatus();
}

// The suite that runs, and where it listens, for whoever reads the settings again.
struct Running {
  metrics::Registry metrics;
  Listeners listeners;
  Suite* suite = nullptr;
};

lifecycle::ConfigReload ReloadFor(const UpOptions& options, std::vector<std::string> arguments,
                                  const config::Binder& binder, Running& running) {
  const auto prepare = [&options, &running] {
    auto settings = std::make_shared<Settings>(options);
    lifecycle::ConfigReload::Reading reading;
    Bind(reading.binder, *settings);
    reading.validate = [settings] { return settings->suite.Validate(); };
    reading.apply = [settings, &running]() -> absl::StatusOr<std::vector<std::string>> {
      SuiteConfig config = settings->suite;
      LimitEgress(running.listeners, config.function_executor);
      ASSIGN_OR_RETURN(auto renewed, running.suite->Reload(config));
      log::SetLevel(settings->process.log_level);
      return renewed;
    };
    reading.fields = std::move(settings);
    return reading;
  };
  return {kUp, std::move(arguments), binder, running.metrics, prepare};
}

// Runs the suite until a signal stops it; the exit code. `running` refers to it meanwhile;
// `on_hangup` may be empty.
int RunSuite(const Settings& settings, Announcement announcement, Context& context,
             Running& running, std::function<void()> on_hangup) {
  metrics::Registry& metrics = running.metrics;
  for (const char* const service : {functions::kServiceName, executor::kServiceName,
                                    broker::kServiceName, gateway::kServiceName}) {
    metrics::RegisterProcessMetrics(metrics, service, config::Version());
  }
  lifecycle::Readiness readiness;
  auto admin =
      lifecycle::AdminServer::Start({settings.process.admin_listen, {}}, readiness, metrics);
  if (!admin.ok()) {
    context.io.err << "error: " << admin.status().message() << "\n";
    return 1;
  }
  const std::string ports_file = PortsFileOf(settings.suite.data_dir);
  bool is_announced = false;
  Suite suite(
      settings.suite, {SystemClock(), metrics, readiness}, [&](const gateway::App& gateway) {
        if (gateway.config_port() == 0) {
          announcement.listeners[static_cast<std::size_t>(Listener::kConfig)].address.clear();
        }
        is_announced = true;
        return Announce(ports_file, announcement, context);
      });
  running.suite = &suite;
  const int code =
      lifecycle::RunUntilSignal(suite, {.stop_deadline = settings.process.shutdown_deadline,
                                        .readiness = &readiness,
                                        .stop_delay = settings.process.shutdown_delay,
                                        .on_hangup = std::move(on_hangup)});
  // A start that failed may have met another process in this folder, whose file it is.
  std::error_code ignored;
  if (is_announced) std::filesystem::remove(ports_file, ignored);
  return code;
}

absl::Status RunUp(const UpOptions& options, const std::string& program, Context& context) {
  RETURN_IF_ERROR(CheckUpOptions(options));
  // Before any thread exists.
  lifecycle::BlockSignals();
  Settings settings(options);
  config::Binder binder;
  Bind(binder, settings);

  std::vector<std::string> arguments = SettingsOf(options);
  arguments.insert(arguments.begin(), kUp.name);
  std::vector<const char*> argv;
  for (const std::string& argument : arguments) argv.push_back(argument.c_str());
  const config::Outcome loaded = config::Load(kUp, static_cast<int>(argv.size()), argv.data(),
                                              binder, [&] { return settings.suite.Validate(); });
  if (!loaded.run) {
    context.exit_code = loaded.exit_code;
    return absl::OkStatus();
  }
  lifecycle::ApplyLogConfig(settings.process, "");
  functions::Config& manager = settings.suite.function_manager;
  if (manager.secrets_key_file.empty() && manager.secrets_key.empty()) {
    manager.secrets_key_file = (std::filesystem::path(options.data_dir) / "secrets.key").string();
    manager.makes_secrets_key = true;
  }
  // Before the ports are chosen, which are no change of the settings.
  Running running;
  lifecycle::ConfigReload reload = ReloadFor(options, std::move(arguments), binder, running);
  // Without a file there is nothing to read again, and a terminal that closes ends what runs in it.
  std::function<void()> on_hangup;
  if (!loaded.config_file.empty()) on_hangup = [&reload] { reload.Run().IgnoreError(); };

  Announcement announcement;
  ASSIGN_OR_RETURN(announcement.listeners, ReadListeners(binder));
  RETURN_IF_ERROR(PickFreePorts(&announcement.listeners));
  RETURN_IF_ERROR(WriteListeners(announcement.listeners, binder));
  settings.process.admin_listen =
      announcement.listeners[static_cast<std::size_t>(Listener::kAdmin)];
  announcement.data_dir = options.data_dir;
  announcement.program = program;
  announcement.version = std::string(config::Version());
  announcement.has_auth = options.auth == "api_keys";
  announcement.is_loopback_allowed =
      LimitEgress(announcement.listeners, settings.suite.function_executor);
  running.listeners = announcement.listeners;
  context.exit_code =
      RunSuite(settings, std::move(announcement), context, running, std::move(on_hangup));
  return absl::OkStatus();
}

}  // namespace

void AddUpCommand(Cli& cli) {
  CLI::App* const command =
      Cli::Add(&cli.root(), "up", "Runs all of Penstock in one process, until Ctrl-C", kExamples);
  const auto options = std::make_shared<UpOptions>();
  command->add_option("--data-dir", options->data_dir, "folder for everything that is kept")
      ->capture_default_str();
  command->add_option("--bind", options->bind,
                      "address of all listeners (default 127.0.0.1); others need --auth");
  const std::vector<std::pair<Listener, std::string>> ports = {
      {Listener::kHttp, "port of the front door: HTTP, REST, CloudEvents (default 8080)"},
      {Listener::kConfig, "port of the configuration API (default 8081)"},
      {Listener::kGrpc, "port for gRPC, which this program uses (default 8082)"},
      {Listener::kAdmin, "port of /healthz, /readyz and /metrics (default 8083)"}};
  for (const auto& [listener, help] : ports) {
    command->add_option(fmt::format("--{}-port", NameOf(listener)),
                        options->ports[static_cast<std::size_t>(listener)],
                        help + "; 0: a free one");
  }
  command->add_option("--auth", options->auth, "who may call: none, or api_keys")
      ->check(CLI::IsMember({"none", "api_keys"}));
  command->add_option("--config", options->config_file, "YAML file with further settings");
  command->add_option("--log-level", options->log_level, "debug, info, warn, error or off");
  // Whatever else is given is a setting, checked by the configuration.
  command->allow_extras();
  command->fallthrough(false);
  cli.SetAction(command, [&cli, command, options](Context& context) {
    options->settings = command->remaining();
    return RunUp(*options, cli.program(), context);
  });
}

}  // namespace penstock::cli
