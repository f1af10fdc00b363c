#include "tools/penstock/commands/cli.h"

#include <fmt/format.h>

#include <csignal>
#include <exception>

#include "libs/cloudevents/json_format.h"
#include "libs/config/suggest.h"
#include "libs/config/version.h"
#include "tools/penstock/client/errors.h"
#include "tools/penstock/input/values.h"

namespace penstock::cli {
namespace {

constexpr char kFooter[] =
    R"(Examples:
  penstock up                                        run everything on this machine
  penstock function create hello --source hello.py   a first function
  penstock function invoke hello --data '{"a": 1}'   call it
  penstock emit user.created --data '{"name": "Ada"}'

Exit codes: 0 done, 1 error, 2 wrong usage, 3 server not reachable, 4 the function failed,
5 stored events are damaged.)";

// The innermost command that was named.
const CLI::App* DeepestParsed(const CLI::App* app) {
  while (!app->get_subcommands().empty()) app = app->get_subcommands().front();
  return app;
}

std::string PathOf(const CLI::App* app) {
  const CLI::App* const parent = app->get_parent();
  return parent == nullptr ? "penstock" : PathOf(parent) + " " + app->get_name();
}

}  // namespace

Cli::Cli(Io& io, const Clock& clock)
    : io_(io),
      clock_(clock),
      root_("Penstock: an event gateway and function gateway.", "penstock") {
  // Commands that are added later inherit this: the flags below may stand anywhere.
  root_.fallthrough();
  root_.require_subcommand(1);
  root_.footer(kFooter);
  root_.get_formatter()->column_width(36);
  root_.set_version_flag("--version", fmt::format("penstock {}", config::Version()),
                         "Print the version and exit");
  root_.add_option("--server", options_.server, "host:port of the server's gRPC listener")
      ->envname("PENSTOCK_SERVER")
      ->capture_default_str();
  root_.add_option("--space", options_.space, "space of the resources")
      ->envname("PENSTOCK_SPACE")
      ->capture_default_str();
  root_.add_flag("--tls", options_.has_tls, "connect with TLS; so do the files below")
      ->envname("PENSTOCK_TLS");
  root_
      .add_option("--tls-ca", options_.tls_ca,
                  "PEM file with the authorities to trust instead of the system's")
      ->envname("PENSTOCK_TLS_CA");
  root_
      .add_option("--tls-certificate", options_.tls_certificate,
                  "PEM file with the certificate to show")
      ->envname("PENSTOCK_TLS_CERTIFICATE");
  root_.add_option("--tls-key", options_.tls_key, "PEM file with its key")
      ->envname("PENSTOCK_TLS_KEY");
  root_.add_option("--token", options_.token, "API key, sent as authorization")
      ->envname("PENSTOCK_TOKEN");
  root_.add_option("--timeout", options_.timeout,
                   "limit of each call, like 30s; before the command where it has its own");
  root_.add_option("-o,--output", options_.output, "format of the output")
      ->check(CLI::IsMember({"table", "json", "yaml"}));
  root_.add_flag("-v,--verbose", options_.is_verbose, "say more on standard error");
}

CLI::App* Cli::Add(CLI::App* parent, const std::string& name, const std::string& summary,
                   const std::string& examples) {
  CLI::App* const command = parent->add_subcommand(name, summary);
  if (!examples.empty()) command->footer("Examples:\n" + examples);
  return command;
}

void Cli::SetAction(CLI::App* command, Action action) {
  command->callback([this, action = std::move(action)] { action_ = action; });
}

int Cli::Run(int argc, const char* const* argv) {
  if (argc > 0) program_ = argv[0];
  try {
    root_.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return OnParseError(error);
  }
  // A reader that goes away (`| head`) is seen as a failed write, not as a signal.
  std::signal(SIGPIPE, SIG_IGN);
  cloudevents::RegisterJsonForm();
  return RunAction();
}

int Cli::RunAction() {
  std::optional<std::chrono::milliseconds> timeout;
  absl::Status status;
  Context* used = nullptr;
  std::optional<Context> context;
  if (!options_.timeout.empty()) {
    if (const auto parsed = ParseTimeout("--timeout", options_.timeout); parsed.ok()) {
      timeout = std::chrono::ceil<std::chrono::milliseconds>(*parsed);
    } else {
      status = parsed.status();
    }
  }
  if (status.ok()) {
    used = &context.emplace(options_, io_, clock_, timeout);
    try {
      status = action_(*used);
    } catch (const std::exception& error) {
      status = absl::InternalError(error.what());
    }
  }
  io_.out.flush();
  if (status.ok() && !io_.out) status = absl::UnavailableError("the output cannot be written");
  if (status.ok()) return used->exit_code;
  io_.err << ErrorText(status);
  io_.err.flush();
  return ExitCodeOf(status);
}

int Cli::OnParseError(const CLI::ParseError& error) {
  // Help and version come as "errors" with exit code 0.
  if (error.get_exit_code() == 0) {
    root_.exit(error, io_.out, io_.err);
    return kExitOk;
  }
  const CLI::App* const command = DeepestParsed(&root_);
  const std::vector<std::string> unknown = command->remaining();
  std::string message = error.what();
  if (error.get_exit_code() == static_cast<int>(CLI::ExitCodes::RequiredError) &&
      !unknown.empty()) {
    message = fmt::format("unknown command or flag \"{}\"", unknown.front());
    std::vector<std::string> names;
    for (const CLI::App* const known : command->get_subcommands([](const auto*) { return true; })) {
      names.push_back(known->get_name());
    }
    const std::string near = config::Suggest(unknown.front(), names);
    if (!near.empty()) message += fmt::format("; did you mean \"{}\"?", near);
  }
  io_.err << "error: " << Printable(message) << "\n"
          << "hint: see `" << PathOf(command) << " --help`\n";
  return kExitUsage;
}

CLI::Option* AddList(CLI::App* command, const std::string& name, std::vector<std::string>* target,
                     const std::string& help) {
  return command->add_option(name, *target, help)->allow_extra_args(false)->take_all();
}

}  // namespace penstock::cli
