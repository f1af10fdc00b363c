// Secrets: their values go in and never come back.
#include <fmt/format.h>
#include <google/protobuf/empty.pb.h>
#include <penstock/functions/v1/manager.pb.h>

#include <fstream>
#include <memory>
#include <sstream>
#include <string>

#include "libs/base/status.h"
#include "tools/penstock/client/errors.h"
#include "tools/penstock/commands/methods.h"
#include "tools/penstock/commands/paging.h"
#include "tools/penstock/commands/register.h"

namespace penstock::cli {
namespace {

namespace pb = functions::v1;

struct Options {
  std::string id;
  std::string key;
  std::string file;
  bool is_exact = false;
};

// The value from a file or standard input: never from the command line, which others can see.
absl::StatusOr<std::string> ReadValue(const Options& options, std::istream& in) {
  std::ostringstream text;
  if (options.file.empty()) {
    text << in.rdbuf();
  } else {
    std::ifstream file(options.file, std::ios::binary);
    if (!file) return UsageError(fmt::format("cannot read {}", options.file));
    text << file.rdbuf();
  }
  std::string value = text.str();
  // An editor or `echo` ends a file with a line end that nobody means.
  if (!options.is_exact && value.ends_with('\n')) {
    value.pop_back();
    if (value.ends_with('\r')) value.pop_back();
  }
  if (value.empty())
    return UsageError("the value is empty: give it on standard input or as --file");
  return value;
}

absl::Status PrintSecret(Context& context, const pb::Secret& secret, std::string_view verb) {
  const Format format = context.FormatOr(Format::kTable);
  if (format != Format::kTable) return context.Print(secret, format);
  context.io.out << fmt::format("secret \"{}\" {} ({} {})\n", IdOf(secret.name()), verb,
                                secret.keys_size(), secret.keys_size() == 1 ? "value" : "values");
  return absl::OkStatus();
}

absl::Status Set(const Options& options, Context& context) {
  ASSIGN_OR_RETURN(std::string value, ReadValue(options, context.io.in));
  pb::UpdateSecretRequest update;
  update.mutable_secret()->set_name(context.NameOf("secrets", options.id));
  (*update.mutable_secret()->mutable_values())[options.key] = value;
  update.mutable_update_mask()->add_paths("values." + options.key);
  const auto updated = context.client().Call<pb::Secret>(kUpdateSecret, update);
  if (updated.ok()) return PrintSecret(context, *updated, "changed");
  if (updated.status().code() != absl::StatusCode::kNotFound) return updated.status();
  pb::CreateSecretRequest create;
  create.set_parent(context.Parent());
  create.set_secret_id(options.id);
  (*create.mutable_secret()->mutable_values())[options.key] = std::move(value);
  ASSIGN_OR_RETURN(const auto created, context.client().Call<pb::Secret>(kCreateSecret, create));
  return PrintSecret(context, created, "created");
}

absl::Status List(Context& context) {
  pb::ListSecretsRequest request;
  request.set_parent(context.Parent());
  ASSIGN_OR_RETURN(const auto all, ListAll<pb::ListSecretsResponse>(
                                       context, kListSecrets, request,
                                       [](auto& page) { return page.mutable_secrets(); }, 0));
  const Format format = context.FormatOr(Format::kTable);
  if (format != Format::kTable) return context.Print(all, format);
  Table table({"NAME", "KEYS", "CHANGED"});
  for (const pb::Secret& secret : all.secrets()) {
    std::string keys;
    for (const std::string& key : secret.keys()) keys += (keys.empty() ? "" : ",") + key;
    table.AddRow({IdOf(secret.name()), keys, AgeOf(secret.update_time(), context.clock.Wall())});
  }
  context.Print(table, fmt::format("no secrets in space {}", context.options.space));
  return absl::OkStatus();
}

absl::Status Delete(const Options& options, Context& context) {
  if (!options.key.empty()) {
    pb::UpdateSecretRequest update;
    update.mutable_secret()->set_name(context.NameOf("secrets", options.id));
    update.mutable_update_mask()->add_paths("values." + options.key);
    ASSIGN_OR_RETURN(const auto updated, context.client().Call<pb::Secret>(kUpdateSecret, update));
    return PrintSecret(context, updated, "changed");
  }
  pb::DeleteSecretRequest request;
  request.set_name(context.NameOf("secrets", options.id));
  RETURN_IF_ERROR(context.client().Call<google::protobuf::Empty>(kDeleteSecret, request).status());
  context.io.out << fmt::format("secret \"{}\" deleted\n", IdOf(options.id));
  return absl::OkStatus();
}

absl::Status RotateKey(Context& context) {
  ASSIGN_OR_RETURN(const auto rotated,
                   context.client().Call<pb::RotateSecretKeyResponse>(
                       kRotateSecretKey, pb::RotateSecretKeyRequest(), std::chrono::minutes(5)));
  const Format format = context.FormatOr(Format::kTable);
  if (format != Format::kTable) return context.Print(rotated, format);
  context.io.out << fmt::format("encrypted {} values with a new key\n", rotated.rotated_count());
  return absl::OkStatus();
}

}  // namespace

void AddSecretCommands(Cli& cli) {
  CLI::App* const secret =
      Cli::Add(&cli.root(), "secret", "Secrets: values for functions, which never come back", "");
  secret->alias("secrets")->require_subcommand(1);

  const auto to_set = std::make_shared<Options>();
  CLI::App* const set =
      Cli::Add(secret, "set", "Sets one value of a secret, which is made if needed",
               "  penstock secret set db password < password.txt\n"
               "  penstock secret set tls key --file key.pem --exact\n"
               "The value is read from standard input, or a file.");
  set->add_option("name", to_set->id, "the secret's id")->required();
  set->add_option("key", to_set->key, "which of its values")->required();
  set->add_option("--file", to_set->file, "file with the value (default: standard input)");
  set->add_flag("--exact", to_set->is_exact, "keep a line end at the end of the value");
  cli.SetAction(set, [to_set](Context& context) { return Set(*to_set, context); });

  CLI::App* const list =
      Cli::Add(secret, "list", "Lists secrets and their keys", "  penstock secret list");
  cli.SetAction(list, [](Context& context) { return List(context); });

  const auto to_delete = std::make_shared<Options>();
  CLI::App* const remove =
      Cli::Add(secret, "delete", "Deletes a secret that no function names, or one of its values",
               "  penstock secret delete db\n"
               "  penstock secret delete db password");
  remove->add_option("name", to_delete->id, "the secret's id")->required();
  remove->add_option("key", to_delete->key, "only this value");
  cli.SetAction(remove, [to_delete](Context& context) { return Delete(*to_delete, context); });

  CLI::App* const rotate =
      Cli::Add(secret, "rotate-key", "Encrypts all secrets with a new key, while they are in use",
               "  penstock secret rotate-key");
  cli.SetAction(rotate, [](Context& context) { return RotateKey(context); });
}

}  // namespace penstock::cli
