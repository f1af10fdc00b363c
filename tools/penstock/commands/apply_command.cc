#include <fmt/format.h>
#include <google/protobuf/empty.pb.h>
#include <google/protobuf/util/message_differencer.h>
#include <penstock/events/v1/catalog.pb.h>
#include <penstock/functions/v1/manager.pb.h>

#include <algorithm>
#include <memory>

#include "libs/base/status.h"
#include "tools/penstock/client/errors.h"
#include "tools/penstock/commands/methods.h"
#include "tools/penstock/commands/register.h"
#include "tools/penstock/input/documents.h"
#include "tools/penstock/input/values.h"

namespace penstock::cli {
namespace {

struct Options {
  std::vector<std::string> files;
  bool is_dry_run = false;
};

// What applying one kind of resource takes.
struct FunctionCalls {
  using Resource = functions::v1::Function;
  using GetRequest = functions::v1::GetFunctionRequest;
  using CreateRequest = functions::v1::CreateFunctionRequest;
  using UpdateRequest = functions::v1::UpdateFunctionRequest;
  using DeleteRequest = functions::v1::DeleteFunctionRequest;
  static constexpr const char* kGet = kGetFunction;
  static constexpr const char* kCreate = kCreateFunction;
  static constexpr const char* kUpdate = kUpdateFunction;
  static constexpr const char* kDelete = kDeleteFunction;
  static void SetId(CreateRequest& request, const std::string& id) { request.set_function_id(id); }
  static Resource* Mutable(CreateRequest& request) { return request.mutable_function(); }
  static Resource* Mutable(UpdateRequest& request) { return request.mutable_function(); }
};

struct SubscriptionCalls {
  using Resource = events::v1::Subscription;
  using GetRequest = events::v1::GetSubscriptionRequest;
  using CreateRequest = events::v1::CreateSubscriptionRequest;
  using UpdateRequest = events::v1::UpdateSubscriptionRequest;
  using DeleteRequest = events::v1::DeleteSubscriptionRequest;
  static constexpr const char* kGet = kGetSubscription;
  static constexpr const char* kCreate = kCreateSubscription;
  static constexpr const char* kUpdate = kUpdateSubscription;
  static constexpr const char* kDelete = kDeleteSubscription;
  static void SetId(CreateRequest& request, const std::string& id) {
    request.set_subscription_id(id);
  }
  static Resource* Mutable(CreateRequest& request) { return request.mutable_subscription(); }
  static Resource* Mutable(UpdateRequest& request) { return request.mutable_subscription(); }
};

// Whether two states of a resource say the same: without the fields that only the server sets.
bool IsSame(const google::protobuf::Message& a, const google::protobuf::Message& b) {
  static constexpr const char* kServerFields[] = {
      "etag",    "update_time",        "version",     "state", "state_reason", "revision",
      "creator", "effective_sequence", "create_time", "uid"};
  google::protobuf::util::MessageDifferencer differencer;
  for (const char* const name : kServerFields) {
    const auto* const field = a.GetDescriptor()->FindFieldByName(name);
    if (field != nullptr) differencer.IgnoreField(field);
  }
  return differencer.Compare(a, b);
}

// Makes the server's resource what the document says; "created", "configured" or "unchanged".
template <typename Calls>
absl::StatusOr<std::string> Apply(const Document& document, bool is_dry_run, Context& context) {
  using Resource = typename Calls::Resource;
  const auto& wanted = static_cast<const Resource&>(*document.resource);
  typename Calls::GetRequest get;
  get.set_name(wanted.name());
  const auto current = context.client().Call<Resource>(Calls::kGet, get);
  if (!current.ok() && current.status().code() != absl::StatusCode::kNotFound) {
    return current.status();
  }
  if (!current.ok()) {
    typename Calls::CreateRequest create;
    create.set_parent("spaces/" + document.space);
    Calls::SetId(create, document.id);
    *Calls::Mutable(create) = wanted;
    create.set_validate_only(is_dry_run);
    RETURN_IF_ERROR(context.client().Call<Resource>(Calls::kCreate, create).status());
    return "created";
  }
  // What the update would make shows whether it would change anything, defaults included.
  typename Calls::UpdateRequest update;
  *Calls::Mutable(update) = wanted;
  update.mutable_update_mask()->add_paths("*");
  update.set_validate_only(true);
  ASSIGN_OR_RETURN(const auto planned, context.client().Call<Resource>(Calls::kUpdate, update));
  if (IsSame(*current, planned)) return "unchanged";
  if (!is_dry_run) {
    update.set_validate_only(false);
    // Nobody else's change in between is lost.
    Calls::Mutable(update)->set_etag(current->etag());
    RETURN_IF_ERROR(context.client().Call<Resource>(Calls::kUpdate, update).status());
  }
  return "configured";
}

// "deleted" or "not found".
template <typename Calls>
absl::StatusOr<std::string> Delete(const Document& document, Context& context) {
  typename Calls::DeleteRequest request;
  request.set_name(static_cast<const typename Calls::Resource&>(*document.resource).name());
  const absl::Status status =
      context.client().Call<google::protobuf::Empty>(Calls::kDelete, request).status();
  if (status.code() == absl::StatusCode::kNotFound) return "not found";
  RETURN_IF_ERROR(status);
  return "deleted";
}

// Loads all files; what is wrong with documents is printed and counted.
absl::StatusOr<Documents> Load(const Options& options, Context& context) {
  Documents documents;
  for (const std::string& file : options.files) {
    RETURN_IF_ERROR(LoadDocuments(file, context.io.in, context.options.space, &documents));
  }
  for (const absl::Status& error : documents.errors) context.io.err << ErrorText(error);
  if (documents.documents.empty() && documents.errors.empty()) {
    return absl::InvalidArgumentError("there is no document in what -f names");
  }
  return documents;
}

// Runs `step` on each document and prints what came of it; stops where no server answers.
template <typename Step>
absl::Status RunAll(const std::vector<Document>& documents, Context& context, Step step) {
  for (const Document& document : documents) {
    const absl::StatusOr<std::string> done = step(document);
    const std::string label = document.Label(context.options.space);
    if (done.ok()) {
      context.io.out << fmt::format("{} {}\n", label, *done);
      continue;
    }
    if (ExitCodeOf(done.status()) == kExitNotReachable) return done.status();
    context.io.out << fmt::format("{} failed\n", label);
    context.io.err << fmt::format("{}: ", document.place) << ErrorText(done.status());
    context.exit_code = kExitError;
  }
  return absl::OkStatus();
}

absl::Status ApplyAll(const Options& options, Context& context) {
  ASSIGN_OR_RETURN(Documents documents, Load(options, context));
  if (!documents.errors.empty()) {
    return absl::InvalidArgumentError(fmt::format(
        "{} of the documents cannot be read, so none was applied", documents.errors.size()));
  }
  // Subscriptions name functions.
  std::stable_sort(documents.documents.begin(), documents.documents.end(),
                   [](const Document& a, const Document& b) { return a.kind < b.kind; });
  return RunAll(
      documents.documents, context, [&](const Document& document) -> absl::StatusOr<std::string> {
        const bool is_function = document.kind == Kind::kFunction;
        ASSIGN_OR_RETURN(const std::string done,
                         is_function
                             ? Apply<FunctionCalls>(document, options.is_dry_run, context)
                             : Apply<SubscriptionCalls>(document, options.is_dry_run, context));
        return done + (options.is_dry_run ? " (dry run)" : "");
      });
}

absl::Status DeleteAll(const Options& options, Context& context) {
  ASSIGN_OR_RETURN(Documents documents, Load(options, context));
  if (!documents.errors.empty()) context.exit_code = kExitError;
  std::stable_sort(documents.documents.begin(), documents.documents.end(),
                   [](const Document& a, const Document& b) { return a.kind > b.kind; });
  return RunAll(documents.documents, context, [&](const Document& document) {
    const bool is_function = document.kind == Kind::kFunction;
    return is_function ? Delete<FunctionCalls>(document, context)
                       : Delete<SubscriptionCalls>(document, context);
  });
}

}  // namespace

void AddDocumentCommands(Cli& cli) {
  const auto options = std::make_shared<Options>();
  const char* const help = "YAML or JSON file, folder, or - for standard input; repeatable";

  CLI::App* const apply =
      Cli::Add(&cli.root(), "apply", "Makes functions and subscriptions what files say",
               "  penstock apply -f app.yaml\n"
               "  penstock apply -f functions/ -f subscriptions/ --dry-run\n"
               "A file holds documents between lines of ---:\n"
               "  kind: Function\n"
               "  name: hello\n"
               "  spec:\n"
               "    process: {runtime: python3, sourceFile: hello.py}\n"
               "  ---\n"
               "  kind: Subscription\n"
               "  name: hello-users\n"
               "  spec: {eventType: user.created, function: hello}");
  AddList(apply, "-f,--file", &options->files, help)->required();
  apply->add_flag("--dry-run", options->is_dry_run, "say what would change, and change nothing");
  cli.SetAction(apply, [options](Context& context) { return ApplyAll(*options, context); });

  CLI::App* const remove =
      Cli::Add(&cli.root(), "delete", "Deletes what files name", "  penstock delete -f app.yaml");
  AddList(remove, "-f,--file", &options->files, help)->required();
  cli.SetAction(remove, [options](Context& context) { return DeleteAll(*options, context); });
}

}  // namespace penstock::cli
