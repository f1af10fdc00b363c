// The steps of a space.
#include <fmt/format.h>
#include <penstock/functions/v1/manager.pb.h>

#include <memory>
#include <string>

#include "libs/base/status.h"
#include "tools/penstock/commands/methods.h"
#include "tools/penstock/commands/register.h"
#include "tools/penstock/input/function_source.h"

namespace penstock::cli {
namespace {

namespace pb = functions::v1;

struct Options {
  std::string file;
  std::string etag;
};

absl::Status Get(Context& context) {
  pb::GetSpaceMiddlewareRequest request;
  request.set_name(context.Parent() + "/middleware");
  ASSIGN_OR_RETURN(const auto found,
                   context.client().Call<pb::SpaceMiddleware>(kGetSpaceMiddleware, request));
  const Format format = context.FormatOr(Format::kYaml);
  return context.Print(found, format == Format::kTable ? Format::kYaml : format);
}

absl::Status Set(const Options& options, Context& context) {
  pb::UpdateSpaceMiddlewareRequest request;
  auto& wanted = *request.mutable_space_middleware();
  wanted.set_name(context.Parent() + "/middleware");
  wanted.set_etag(options.etag);
  RETURN_IF_ERROR(ReadMiddleware("FILE", options.file, context.io.in, &wanted));
  ASSIGN_OR_RETURN(const auto set,
                   context.client().Call<pb::SpaceMiddleware>(kUpdateSpaceMiddleware, request));
  const Format format = context.FormatOr(Format::kTable);
  if (format != Format::kTable) return context.Print(set, format);
  context.io.out << fmt::format("space \"{}\" has {} {} of middleware\n", context.options.space,
                                set.middleware_size(),
                                set.middleware_size() == 1 ? "step" : "steps");
  return absl::OkStatus();
}

}  // namespace

void AddMiddlewareCommands(Cli& cli) {
  CLI::App* const middleware = Cli::Add(
      &cli.root(), "middleware", "Middleware of a space: steps around all its functions", "");
  middleware->require_subcommand(1);

  CLI::App* const get =
      Cli::Add(middleware, "get", "Shows the steps of the space", "  penstock middleware get");
  cli.SetAction(get, [](Context& context) { return Get(context); });

  const auto options = std::make_shared<Options>();
  CLI::App* const set = Cli::Add(middleware, "set", "Replaces the steps of the space",
                                 "  penstock middleware set steps.json\n"
                                 "  echo '[]' | penstock middleware set -\n"
                                 "The file holds a JSON list, the outermost step first:\n"
                                 "  [{\"timeout\": {\"timeout\": \"5s\"}}, {\"log\": {}}]");
  set->add_option("file", options->file, "file with the list; - reads standard input")->required();
  set->add_option("--etag", options->etag, "only if nobody changed it since");
  cli.SetAction(set, [options](Context& context) { return Set(*options, context); });
}

}  // namespace penstock::cli
