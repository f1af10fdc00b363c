// Which version of a function runs.
#include <fmt/format.h>
#include <google/protobuf/empty.pb.h>
#include <penstock/functions/v1/manager.pb.h>

#include <charconv>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "libs/base/status.h"
#include "tools/penstock/client/errors.h"
#include "tools/penstock/commands/methods.h"
#include "tools/penstock/commands/paging.h"
#include "tools/penstock/commands/register.h"

namespace penstock::cli {
namespace {

namespace pb = functions::v1;

struct Options {
  std::string function;
  std::string alias;
  std::vector<std::string> split;
  std::int64_t version = 0;
  int limit = 0;
  bool is_latest = false;
};

template <typename Number>
bool ParseNumber(std::string_view text, Number* number) {
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), *number);
  return error == std::errc() && end == text.data() + text.size() && !text.empty();
}

// "3=95" or "3=95%".
absl::Status ParseTarget(std::string_view text, pb::TrafficTarget* target) {
  const std::size_t at = text.find('=');
  std::int64_t version = 0;
  std::int32_t percent = 0;
  std::string_view share = at == std::string_view::npos ? "" : text.substr(at + 1);
  if (share.ends_with('%')) share.remove_suffix(1);
  if (!ParseNumber(text.substr(0, at), &version) || !ParseNumber(share, &percent)) {
    return UsageError(
        fmt::format("\"{}\" is no share: expected VERSION=PERCENT, like 3=95", std::string(text)));
  }
  target->set_version(version);
  target->set_percent(percent);
  return absl::OkStatus();
}

std::string TrafficText(const pb::Function& function) {
  std::string text;
  for (const pb::TrafficTarget& target : function.traffic()) {
    text += fmt::format("{}version {}: {}%", text.empty() ? "" : ", ", target.version(),
                        target.percent());
  }
  return text.empty() ? fmt::format("version {}, and each newer one: 100%", function.version())
                      : text;
}

absl::Status PrintTraffic(Context& context, const pb::Function& function) {
  const Format format = context.FormatOr(Format::kTable);
  if (format != Format::kTable) return context.Print(function, format);
  const std::string id = IdOf(function.name());
  context.io.out << fmt::format("function \"{}\": {}\n", id, TrafficText(function));
  if (!function.traffic().empty()) {
    context.io.err << fmt::format(
        "note: new versions get no calls until `penstock function traffic {} --latest`\n", id);
  }
  return absl::OkStatus();
}

absl::StatusOr<pb::Function> GetFunction(const Options& options, Context& context) {
  pb::GetFunctionRequest request;
  request.set_name(context.NameOf("functions", options.function));
  return context.client().Call<pb::Function>(kGetFunction, request);
}

absl::Status Versions(const Options& options, Context& context) {
  pb::ListFunctionVersionsRequest request;
  request.set_parent(context.NameOf("functions", options.function));
  ASSIGN_OR_RETURN(const auto all,
                   ListAll<pb::ListFunctionVersionsResponse>(
                       context, kListFunctionVersions, request,
                       [](auto& page) { return page.mutable_versions(); }, options.limit));
  const Format format = context.FormatOr(Format::kTable);
  if (format != Format::kTable) return context.Print(all, format);
  ASSIGN_OR_RETURN(const pb::Function function, GetFunction(options, context));
  Table table({"VERSION", "STATE", "AGE", "TRAFFIC", "ALIASES", "DESCRIPTION"});
  for (const pb::Function& version : all.versions()) {
    const std::int64_t number = version.version();
    std::string traffic = function.traffic().empty() && number == function.version() ? "100%" : "";
    for (const pb::TrafficTarget& target : function.traffic()) {
      if (target.version() == number) traffic = fmt::format("{}%", target.percent());
    }
    std::string aliases;
    for (const auto& [alias, aliased] : function.aliases()) {
      if (aliased == number) aliases += (aliases.empty() ? "" : ",") + alias;
    }
    table.AddRow({std::to_string(number), pb::Function::State_Name(version.state()),
                  AgeOf(version.update_time(), context.clock.Wall()), traffic, aliases,
                  version.description()});
  }
  context.Print(table, "no versions");
  return absl::OkStatus();
}

absl::Status Traffic(const Options& options, Context& context) {
  if (options.is_latest && !options.split.empty()) {
    return UsageError("--latest gives all calls to the newest version: give no shares beside it");
  }
  if (!options.is_latest && options.split.empty()) {
    ASSIGN_OR_RETURN(const pb::Function function, GetFunction(options, context));
    return PrintTraffic(context, function);
  }
  pb::SetTrafficRequest request;
  request.set_name(context.NameOf("functions", options.function));
  for (const std::string& share : options.split) {
    RETURN_IF_ERROR(ParseTarget(share, request.add_targets()));
  }
  ASSIGN_OR_RETURN(const auto function, context.client().Call<pb::Function>(kSetTraffic, request));
  return PrintTraffic(context, function);
}

absl::Status Rollback(const Options& options, Context& context) {
  pb::RollbackFunctionRequest request;
  request.set_name(context.NameOf("functions", options.function));
  request.set_version(options.version);
  ASSIGN_OR_RETURN(const auto function,
                   context.client().Call<pb::Function>(kRollbackFunction, request));
  return PrintTraffic(context, function);
}

std::string AliasName(const Options& options, Context& context) {
  return fmt::format("{}/aliases/{}", context.NameOf("functions", options.function), options.alias);
}

absl::Status SetAlias(const Options& options, Context& context) {
  pb::SetFunctionAliasRequest request;
  request.mutable_alias()->set_name(AliasName(options, context));
  request.mutable_alias()->set_version(options.version);
  ASSIGN_OR_RETURN(const auto alias,
                   context.client().Call<pb::FunctionAlias>(kSetFunctionAlias, request));
  const Format format = context.FormatOr(Format::kTable);
  if (format != Format::kTable) return context.Print(alias, format);
  context.io.out << fmt::format("{}@{} is version {}\n", IdOf(options.function), options.alias,
                                alias.version());
  return absl::OkStatus();
}

absl::Status DeleteAlias(const Options& options, Context& context) {
  pb::DeleteFunctionAliasRequest request;
  request.set_name(AliasName(options, context));
  RETURN_IF_ERROR(
      context.client().Call<google::protobuf::Empty>(kDeleteFunctionAlias, request).status());
  context.io.out << fmt::format("alias {}@{} deleted\n", IdOf(options.function), options.alias);
  return absl::OkStatus();
}

absl::Status ListAliases(const Options& options, Context& context) {
  pb::ListFunctionAliasesRequest request;
  request.set_parent(context.NameOf("functions", options.function));
  ASSIGN_OR_RETURN(const auto all, ListAll<pb::ListFunctionAliasesResponse>(
                                       context, kListFunctionAliases, request,
                                       [](auto& page) { return page.mutable_aliases(); }, 0));
  const Format format = context.FormatOr(Format::kTable);
  if (format != Format::kTable) return context.Print(all, format);
  Table table({"ALIAS", "VERSION"});
  for (const pb::FunctionAlias& alias : all.aliases()) {
    table.AddRow({IdOf(alias.name()), std::to_string(alias.version())});
  }
  context.Print(table, fmt::format("function {} has no aliases", options.function));
  return absl::OkStatus();
}

void AddAliasCommands(Cli& cli, CLI::App* function) {
  CLI::App* const alias =
      Cli::Add(function, "alias", "Names for versions: NAME@ALIAS calls what it stands for", "");
  alias->require_subcommand(1);
  const auto add = [&](const char* name, const char* what, const char* example, auto run) {
    const auto options = std::make_shared<Options>();
    CLI::App* const command = Cli::Add(alias, name, what, example);
    command->add_option("name", options->function, "the function's id")->required();
    cli.SetAction(command, [options, run](Context& context) { return run(*options, context); });
    return std::pair(command, options);
  };
  const auto [set, to_set] = add("set", "Creates or moves an alias",
                                 "  penstock function alias set hello prod 3\n"
                                 "  penstock function invoke hello@prod",
                                 SetAlias);
  set->add_option("alias", to_set->alias, "the alias; not a number")->required();
  set->add_option("version", to_set->version, "the version that it stands for")->required();
  const auto [remove, to_remove] = add("delete", "Deletes an alias that nothing uses",
                                       "  penstock function alias delete hello prod", DeleteAlias);
  remove->add_option("alias", to_remove->alias, "the alias")->required();
  add("list", "Lists aliases", "  penstock function alias list hello", ListAliases);
}

}  // namespace

void AddVersionCommands(Cli& cli, CLI::App* function) {
  const auto listed = std::make_shared<Options>();
  CLI::App* const versions =
      Cli::Add(function, "versions", "Lists the versions that are kept, newest first",
               "  penstock function versions hello\n"
               "  penstock function get hello@3");
  versions->add_option("name", listed->function, "the function's id")->required();
  versions->add_option("--limit", listed->limit, "at most so many; 0: all")
      ->check(CLI::NonNegativeNumber);
  cli.SetAction(versions, [listed](Context& context) { return Versions(*listed, context); });

  const auto split = std::make_shared<Options>();
  CLI::App* const traffic =
      Cli::Add(function, "traffic", "Shows how calls are split over versions, or splits them",
               "  penstock function traffic hello\n"
               "  penstock function traffic hello 3=95 4=5\n"
               "  penstock function traffic hello 4=100\n"
               "  penstock function traffic hello --latest\n"
               "A split stands until it is set again: new versions get no calls meanwhile.");
  traffic->add_option("name", split->function, "the function's id")->required();
  traffic->add_option("share", split->split, "VERSION=PERCENT; all add up to 100");
  traffic->add_flag("--latest", split->is_latest, "all calls to the newest version from now on");
  cli.SetAction(traffic, [split](Context& context) { return Traffic(*split, context); });

  const auto back = std::make_shared<Options>();
  CLI::App* const rollback =
      Cli::Add(function, "rollback", "Gives all calls to an earlier version, at once",
               "  penstock function rollback hello\n"
               "  penstock function rollback hello --to 3");
  rollback->add_option("name", back->function, "the function's id")->required();
  rollback->add_option("--to", back->version, "the version (default: the one before)")
      ->check(CLI::PositiveNumber);
  cli.SetAction(rollback, [back](Context& context) { return Rollback(*back, context); });

  AddAliasCommands(cli, function);
}

}  // namespace penstock::cli
