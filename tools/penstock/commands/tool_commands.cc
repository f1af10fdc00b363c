#include <memory>

#include "libs/config/version.h"
#include "libs/protojson/json_writer.h"
#include "tools/penstock/commands/completion.h"
#include "tools/penstock/commands/register.h"

namespace penstock::cli {
namespace {

absl::Status ShowVersion(Context& context) {
  const Format format = context.FormatOr(Format::kTable);
  if (format == Format::kTable) {
    context.io.out << "penstock " << config::Version() << "\n";
    return absl::OkStatus();
  }
  std::string json;
  protojson::JsonWriter writer(&json, /*pretty=*/true);
  writer.BeginObject();
  writer.Key("version");
  writer.String(config::Version());
  writer.EndObject();
  return context.PrintJson(json, format);
}

}  // namespace

void AddToolCommands(Cli& cli) {
  const auto shell = std::make_shared<std::string>();
  CLI::App* const completion =
      Cli::Add(&cli.root(), "completion", "Prints shell completion",
               "  source <(penstock completion bash)\n"
               "  penstock completion fish > ~/.config/fish/completions/penstock.fish");
  completion->add_option("shell", *shell, "bash, zsh or fish")
      ->required()
      ->check(CLI::IsMember({"bash", "zsh", "fish"}));
  cli.SetAction(completion, [&cli, shell](Context& context) {
    context.io.out << CompletionScript(cli.root(), *shell);
    return absl::OkStatus();
  });

  CLI::App* const version = Cli::Add(&cli.root(), "version", "Prints this program's version", "");
  cli.SetAction(version, [](Context& context) { return ShowVersion(context); });
}

}  // namespace penstock::cli
