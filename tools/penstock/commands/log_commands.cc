// `log verify|dump|repair`: the event log as files, without a server.
#include <fmt/format.h>

#include <filesystem>
#include <memory>
#include <optional>

#include "libs/base/status.h"
#include "libs/cloudevents/event.h"
#include "libs/cloudevents/json_format.h"
#include "libs/lifecycle/data_folder_lock.h"
#include "libs/protojson/json_writer.h"
#include "services/event-broker/storage/log_folder.h"
#include "services/event-broker/storage/log_inspect.h"
#include "services/event-broker/storage/log_repair.h"
#include "services/event-broker/storage/posix_file_system.h"
#include "tools/penstock/client/errors.h"
#include "tools/penstock/commands/register.h"
#include "tools/penstock/input/values.h"
#include "tools/penstock/output/table.h"

namespace penstock::cli {
namespace {

namespace fs = std::filesystem;

struct Options {
  std::string folder;
  bool is_deep = false;
  bool is_dry_run = false;
  bool is_confirmed = false;
  bool is_json = false;
  std::string from;
  std::string to;
  std::vector<std::string> types;
};

// Where a log is, and the data folder whose lock its broker holds; empty when it lies in none.
struct Place {
  std::string log_folder;
  std::string data_folder;
};

absl::StatusOr<Place> FindLog(const std::string& folder) {
  std::error_code error;
  for (const char* const below : {"", "log", "event-broker/log"}) {
    const fs::path path = fs::path(folder) / below;
    bool has_segments = false;
    for (fs::directory_iterator at(path, error), end; !error && at != end; at.increment(error)) {
      const std::string name = at->path().filename().string();
      has_segments = has_segments || broker::ParseSegmentFileName(name).has_value() ||
                     name == broker::kManifestName;
    }
    if (!has_segments) continue;
    Place place{.log_folder = fs::weakly_canonical(path, error).string()};
    const fs::path found(place.log_folder);
    if (found.filename() == "log") place.data_folder = found.parent_path().string();
    return place;
  }
  return absl::NotFoundError(fmt::format("{} holds no event log", folder));
}

// Shows on a terminal how far long work is.
std::function<void(const broker::InspectProgress&)> ProgressOf(Context& context) {
  if (!context.io.is_err_terminal && !context.options.is_verbose) return nullptr;
  return [&context, shown = -1, file = std::string()](const broker::InspectProgress& p) mutable {
    const int percent =
        p.bytes == 0 ? 100
                     : static_cast<int>(std::min<std::uint64_t>(100, p.bytes_done * 100 / p.bytes));
    if (percent == shown && file == p.file) return;
    shown = percent;
    file = p.file;
    context.io.err << fmt::format("\r{:3} %  file {} of {}", percent,
                                  std::min(p.files_done + 1, p.files), p.files)
                   << (p.files_done == p.files ? "\n" : "") << std::flush;
  };
}

void WriteFindings(const broker::LogInspection& log, protojson::JsonWriter& writer) {
  writer.Key("findings");
  writer.BeginArray();
  for (const broker::Finding& finding : log.findings) {
    writer.BeginObject();
    writer.Key("kind");
    writer.String(broker::FindingKindName(finding.kind));
    writer.Key("damage");
    writer.Bool(finding.is_damage());
    writer.Key("file");
    writer.String(finding.file);
    for (const auto& [key, value] : {std::pair<const char*, std::uint64_t>{"first", finding.first},
                                     {"last", finding.last},
                                     {"offset", finding.offset},
                                     {"bytes", finding.bytes}}) {
      writer.Key(key);
      writer.Uint(value);
    }
    writer.Key("text");
    writer.String(finding.Text());
    writer.EndObject();
  }
  writer.EndArray();
}

std::string VerifyJson(const broker::LogInspection& log, bool is_deep, bool is_in_use) {
  std::string json;
  protojson::JsonWriter writer(&json, /*pretty=*/true);
  writer.BeginObject();
  for (const auto& [key, value] :
       {std::pair<const char*, std::uint64_t>{"segments", log.segments.size()},
        {"events", log.events()},
        {"bytes", log.bytes()},
        {"horizon", log.horizon()},
        {"head", log.head()}}) {
    writer.Key(key);
    writer.Uint(value);
  }
  for (const auto& [key, value] : {std::pair<const char*, bool>{"deep", is_deep},
                                   {"inUse", is_in_use},
                                   {"intact", !log.damaged()}}) {
    writer.Key(key);
    writer.Bool(value);
  }
  WriteFindings(log, writer);
  writer.EndObject();
  return json;
}

absl::Status Verify(const Options& options, Context& context) {
  ASSIGN_OR_RETURN(const Place place, FindLog(options.folder));
  ASSIGN_OR_RETURN(const std::string holder, lifecycle::DataFolderHolder(place.data_folder));
  ASSIGN_OR_RETURN(const auto folder, broker::PosixFiles().OpenFolder(place.log_folder));
  ASSIGN_OR_RETURN(const broker::LogInspection log,
                   broker::InspectLog(*folder, {.deep = options.is_deep,
                                                .in_use = !holder.empty(),
                                                .progress = ProgressOf(context)}));
  if (log.damaged()) context.exit_code = kExitDamaged;
  if (const Format format = context.FormatOr(Format::kTable); format != Format::kTable) {
    return context.PrintJson(VerifyJson(log, options.is_deep, !holder.empty()), format);
  }
  context.io.out << fmt::format("{} segments, {} events, sequences {} to {}, {} bytes\n",
                                log.segments.size(), log.events(), log.horizon(), log.head(),
                                log.bytes());
  for (const broker::Finding& finding : log.findings) {
    context.io.out << (finding.is_damage() ? "damage: " : "note: ") << finding.Text() << "\n";
  }
  if (!holder.empty()) context.io.err << fmt::format("in use by {}\n", holder);
  context.io.out << (log.damaged()     ? "damaged\n"
                     : options.is_deep ? "intact\n"
                                       : "intact as far as the footers tell; --deep reads all\n");
  return absl::OkStatus();
}

std::string RecordJson(const broker::RecordView& record) {
  std::string json;
  protojson::JsonWriter writer(&json);
  writer.BeginObject();
  writer.Key("sequence");
  writer.Uint(record.sequence);
  writer.Key("appendTime");
  writer.String(FormatRfc3339(FromUnixMicros(record.append_time)));
  writer.Key("kind");
  writer.String(record.kind == broker::RecordKind::kEvent ? "EVENT" : "CONTROL");
  for (const auto& [key, value] : {std::pair<const char*, std::string_view>{"space", record.space},
                                   {"orderingKey", record.ordering_key}}) {
    if (value.empty()) continue;
    writer.Key(key);
    writer.String(value);
  }
  cloudevents::CloudEvent event;
  std::string text;
  if (record.kind == broker::RecordKind::kEvent &&
      event.ParseFromArray(record.body.data(), static_cast<int>(record.body.size())) &&
      cloudevents::AppendJson(event, &text).ok()) {
    writer.Key("event");
    writer.RawJson(text);
  } else {
    writer.Key("body");
    writer.Base64(record.body);
  }
  writer.EndObject();
  return json;
}

absl::StatusOr<broker::Sequence> ParseSequence(const char* flag, const std::string& text,
                                               broker::Sequence fallback) {
  if (text.empty()) return fallback;
  ASSIGN_OR_RETURN(const LogPoint point, ParseLogPoint(flag, text, WallTime()));
  const auto* const sequence = std::get_if<std::int64_t>(&point);
  if (sequence == nullptr || *sequence < 1) {
    return UsageError(fmt::format("{}: expected a sequence, got \"{}\"", flag, text));
  }
  return static_cast<broker::Sequence>(*sequence);
}

absl::Status Dump(const Options& options, bool is_space_given, Context& context) {
  broker::DumpOptions wanted{.types = options.types};
  ASSIGN_OR_RETURN(wanted.from, ParseSequence("--from", options.from, 1));
  ASSIGN_OR_RETURN(wanted.to, ParseSequence("--to", options.to, broker::kMaxSequence));
  if (is_space_given) wanted.spaces.push_back(context.options.space);
  ASSIGN_OR_RETURN(const Place place, FindLog(options.folder));
  ASSIGN_OR_RETURN(const auto folder, broker::PosixFiles().OpenFolder(place.log_folder));
  const bool is_json = options.is_json || context.FormatOr(Format::kTable) != Format::kTable;
  return broker::DumpLog(
      *folder, wanted,
      [&](const broker::RecordView& record) {
        if (is_json) {
          context.io.out << RecordJson(record) << "\n";
        } else {
          context.io.out << fmt::format(
              "{} {} {} {} {} {} {} bytes\n", record.sequence,
              FormatRfc3339(FromUnixMicros(record.append_time)), CellText(record.space),
              record.kind == broker::RecordKind::kEvent ? CellText(record.type) : "(control)",
              CellText(record.source), CellText(record.id), record.body.size());
        }
        return context.io.out.good();
      },
      [&](const broker::LostRange& range) {
        context.exit_code = kExitDamaged;
        context.io.err << fmt::format("sequences {} to {} of {} cannot be read: {}\n", range.first,
                                      range.last, range.file, range.reason);
      });
}

absl::Status Repair(const Options& options, Context& context) {
  if (options.is_dry_run == options.is_confirmed) {
    return UsageError("give --dry-run to see what would be done, or --yes to do it");
  }
  ASSIGN_OR_RETURN(const Place place, FindLog(options.folder));
  std::optional<lifecycle::DataFolderLock> lock;
  if (!place.data_folder.empty()) {
    if (options.is_confirmed) {
      ASSIGN_OR_RETURN(
          lock, lifecycle::DataFolderLock::Acquire(place.data_folder, "penstock log repair"));
    } else {
      ASSIGN_OR_RETURN(const std::string holder, lifecycle::DataFolderHolder(place.data_folder));
      if (!holder.empty()) {
        return absl::FailedPreconditionError(
            fmt::format("the data folder {} is in use by {}", place.data_folder, holder));
      }
    }
  }
  ASSIGN_OR_RETURN(const auto folder, broker::PosixFiles().OpenFolder(place.log_folder));
  ASSIGN_OR_RETURN(
      const broker::RepairReport report,
      broker::RepairLog(*folder, context.clock,
                        {.dry_run = options.is_dry_run, .progress = ProgressOf(context)}));
  for (const std::string& action : report.actions) {
    context.io.out << (options.is_dry_run ? "would do: " : "done: ") << action << "\n";
  }
  for (const std::string& left : report.left) context.io.out << "stays: " << left << "\n";
  if (report.actions.empty()) context.io.out << "there is nothing to repair\n";
  if (options.is_dry_run && !report.actions.empty()) context.exit_code = kExitDamaged;
  return absl::OkStatus();
}

constexpr char kFolderHelp[] = "a data folder, or the log in it";

}  // namespace

void AddLogFolderCommands(Cli& cli) {
  CLI::App* const parent =
      Cli::Add(&cli.root(), "log", "The event log as files, without a server", "");
  parent->require_subcommand(1);
  const auto options = std::make_shared<Options>();

  CLI::App* const verify =
      Cli::Add(parent, "verify", "Checks the files of an event log; changes nothing",
               "  penstock log verify ./penstock-data\n"
               "  penstock log verify /backups/monday --deep -o json\n"
               "It may be in use. Exit code 5 means that events or their index are damaged.");
  verify->add_option("folder", options->folder, kFolderHelp)->required();
  verify->add_flag("--deep", options->is_deep, "read and verify every event");
  cli.SetAction(verify, [options](Context& context) { return Verify(*options, context); });

  CLI::App* const dump =
      Cli::Add(parent, "dump", "Prints stored events straight from the files, in log order",
               "  penstock log dump ./penstock-data --from 100 --to 200\n"
               "  penstock log dump ./penstock-data --type user.created --space shop --json\n"
               "Exit code 5 means that part of the range cannot be read.");
  dump->add_option("folder", options->folder, kFolderHelp)->required();
  dump->add_option("--from", options->from, "from this sequence on");
  dump->add_option("--to", options->to, "up to this sequence");
  AddList(dump, "--type", &options->types, "only events of this type; may be repeated");
  dump->add_flag("--json", options->is_json, "one JSON object a line, with the whole event");
  cli.SetAction(dump, [options, &cli](Context& context) {
    return Dump(*options, cli.root().count("--space") > 0, context);
  });

  CLI::App* const repair = Cli::Add(
      parent, "repair", "Repairs the files of an event log that no broker has open",
      "  penstock log repair ./penstock-data --dry-run\n"
      "  penstock log repair ./penstock-data --yes\n"
      "Damaged bytes are moved to .corrupt files beside the log, each with a note; nothing is\n"
      "deleted. Exit code 5 of --dry-run means that there is something to do.");
  repair->add_option("folder", options->folder, kFolderHelp)->required();
  repair->add_flag("--dry-run", options->is_dry_run, "only say what would be done");
  repair->add_flag("--yes", options->is_confirmed, "do it");
  cli.SetAction(repair, [options](Context& context) { return Repair(*options, context); });
}

}  // namespace penstock::cli
