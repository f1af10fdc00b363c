#include <fmt/format.h>

#include <memory>

#include "libs/base/status.h"
#include "libs/protojson/json_writer.h"
#include "tools/penstock/backup/backup.h"
#include "tools/penstock/commands/register.h"

namespace penstock::cli {
namespace {

std::string ToJson(const BackupReport& report) {
  std::string json;
  protojson::JsonWriter writer(&json, /*pretty=*/true);
  const auto count = [&writer](std::string_view key, std::uint64_t value) {
    writer.Key(key);
    writer.Uint(value);
  };
  writer.BeginObject();
  count("databases", report.databases);
  count("files", report.files);
  count("segmentsLinked", report.segments_linked);
  count("segmentsCopied", report.segments_copied);
  count("segmentBytesCopied", report.bytes_copied);
  if (report.has_log) {
    count("horizon", report.horizon);
    count("head", report.head);
  }
  writer.Key("notes");
  writer.BeginArray();
  for (const std::string& note : report.notes) writer.String(note);
  writer.EndArray();
  writer.EndObject();
  return json;
}

absl::Status Run(const BackupOptions& given, Context& context) {
  BackupOptions options = given;
  if (context.io.is_err_terminal || context.options.is_verbose) {
    options.progress = [&context](const std::string& what) { context.io.err << what << "\n"; };
  }
  ASSIGN_OR_RETURN(const BackupReport report, RunBackup(options));
  if (const Format format = context.FormatOr(Format::kTable); format != Format::kTable) {
    return context.PrintJson(ToJson(report), format);
  }
  if (report.has_log) {
    context.io.out << fmt::format("event log: sequences {} to {}, {} segments linked, {} copied\n",
                                  report.horizon, report.head, report.segments_linked,
                                  report.segments_copied);
  }
  context.io.out << fmt::format("{} databases, {} other files\n", report.databases, report.files);
  for (const std::string& note : report.notes) context.io.err << "note: " << note << "\n";
  return absl::OkStatus();
}

}  // namespace

void AddBackupCommand(Cli& cli) {
  const auto options = std::make_shared<BackupOptions>();
  CLI::App* const command =
      Cli::Add(&cli.root(), "backup", "Copies a data folder, also while its services run",
               "  penstock backup --data-dir ./penstock-data --to /backups/monday\n"
               "  penstock log verify /backups/monday --deep       check the copy\n"
               "  penstock up --data-dir /backups/monday           run on it");
  command->add_option("--data-dir", options->data_dir, "of `penstock up`, or of one service")
      ->required();
  command->add_option("--to", options->target, "the folder to make")->required();
  cli.SetAction(command, [options](Context& context) { return Run(*options, context); });
}

}  // namespace penstock::cli
