// `function deploy`: a folder becomes a function.
#include <fmt/format.h>
#include <google/api/httpbody.pb.h>
#include <penstock/functions/v1/manager.pb.h>
#include <stdlib.h>
#include <unistd.h>

#include <chrono>
#include <filesystem>
#include <fstream>
#include <memory>
#include <thread>
#include <vector>

#include "libs/archive/pack.h"
#include "libs/base/sha256.h"
#include "libs/base/status.h"
#include "tools/penstock/client/errors.h"
#include "tools/penstock/commands/methods.h"
#include "tools/penstock/commands/register.h"
#include "tools/penstock/input/documents.h"

namespace penstock::cli {
namespace {

namespace fs = std::filesystem;
namespace pb = functions::v1;

constexpr char kManifest[] = "penstock.yaml";
constexpr std::chrono::milliseconds kWaitInterval{100};
// Of waiting until it runs, without --timeout.
constexpr std::chrono::milliseconds kWaitLimit{60'000};
constexpr std::size_t kPieceBytes = std::size_t{256} << 10;

struct Options {
  std::string folder;
  bool is_dry_run = false;
  bool is_waiting = true;
};

// A file that goes with this object.
class TempFile {
 public:
  TempFile() {
    std::string path = (fs::temp_directory_path() / "penstock-deploy-XXXXXX").string();
    if (const int fd = ::mkstemp(path.data()); fd >= 0) {
      ::close(fd);
      path_ = path;
    }
  }
  ~TempFile() {
    std::error_code ignored;
    if (!path_.empty()) fs::remove(path_, ignored);
  }
  TempFile(const TempFile&) = delete;
  TempFile& operator=(const TempFile&) = delete;
  // Empty when it could not be made.
  const std::string& path() const { return path_; }

 private:
  std::string path_;
};

// The folder, packed.
struct Source {
  std::string file;
  std::string digest;
  std::uintmax_t bytes = 0;
  int files = 0;
};

// What is not part of the source: a change of the manifest alone, or what interpreters leave
// behind, makes no other digest.
bool IsSkipped(const std::string& path) {
  const std::string name = fs::path(path).filename().string();
  return path == kManifest || name == ".git" || name == "__pycache__" || name.ends_with(".pyc");
}

absl::StatusOr<Source> PackFolder(const std::string& folder, const TempFile& file) {
  if (file.path().empty()) return absl::UnavailableError("cannot make a temporary file");
  Source source{.file = file.path()};
  ASSIGN_OR_RETURN(source.files, archive::Pack(folder, source.file, IsSkipped));
  if (source.files == 0) {
    return absl::InvalidArgumentError(
        fmt::format("the folder {} holds nothing but its {}", folder, kManifest));
  }
  std::ifstream in(source.file, std::ios::binary);
  std::vector<char> buffer(kPieceBytes);
  Sha256 sum;
  while (in.read(buffer.data(), static_cast<std::streamsize>(buffer.size())).gcount() > 0) {
    sum.Update({buffer.data(), static_cast<std::size_t>(in.gcount())});
    source.bytes += static_cast<std::uintmax_t>(in.gcount());
  }
  source.digest = sum.Hex();
  return source;
}

// The function that the manifest describes; its entry has a default by runtime.
absl::StatusOr<pb::Function> ReadManifest(const std::string& folder, Context& context,
                                          std::string* space) {
  const std::string path = (fs::path(folder) / kManifest).string();
  std::ifstream in(path);
  if (!in) {
    return absl::InvalidArgumentError(
        fmt::format("cannot read {}: expected a folder with a {}", path, kManifest));
  }
  const std::string text{std::istreambuf_iterator<char>(in), {}};
  Documents documents;
  ParseDocuments(text, path, folder, context.options.space, &documents, Kind::kFunction);
  if (!documents.errors.empty()) return documents.errors.front();
  if (documents.documents.size() != 1 || documents.documents[0].kind != Kind::kFunction) {
    return absl::InvalidArgumentError(fmt::format("{}: expected exactly one function", path));
  }
  *space = documents.documents[0].space;
  auto function = static_cast<const pb::Function&>(*documents.documents[0].resource);
  if (!function.has_process()) {
    return absl::InvalidArgumentError(
        fmt::format("{}: process: is missing; functions without code of their own are for "
                    "`penstock apply`",
                    path));
  }
  pb::ProcessDriver& process = *function.mutable_process();
  if (!process.source().empty() || !process.source_digest().empty()) {
    return absl::InvalidArgumentError(fmt::format(
        "{}: process: the folder is the source: expected no source, sourceFile or sourceDigest",
        path));
  }
  if (process.entry().empty() && process.runtime() == "python3") process.set_entry("main.py");
  if (process.entry().empty() && process.runtime() == "node") process.set_entry("index.js");
  if (process.entry().empty() && process.command_size() == 0) {
    return absl::InvalidArgumentError(
        fmt::format("{}: process.entry: is missing: expected the program in the folder, or "
                    "process.command",
                    path));
  }
  if (!process.entry().empty() && !fs::is_regular_file(fs::path(folder) / process.entry())) {
    return absl::InvalidArgumentError(fmt::format(
        "{}: process.entry: there is no file \"{}\" in the folder", path, process.entry()));
  }
  return function;
}

absl::StatusOr<bool> IsUploaded(const std::string& parent, const std::string& digest,
                                Context& context) {
  pb::DownloadSourceRequest request;
  request.set_parent(parent);
  request.set_digest(digest);
  const absl::Status status = context.client().Stream<google::api::HttpBody>(
      kDownloadSource, request, [](const google::api::HttpBody&) { return false; });
  if (status.code() == absl::StatusCode::kNotFound) return false;
  RETURN_IF_ERROR(status);
  return true;
}

absl::Status Upload(const std::string& parent, const Source& source, Context& context) {
  ASSIGN_OR_RETURN(const auto exchange, context.client().Open(kUploadSource));
  std::ifstream in(source.file, std::ios::binary);
  std::vector<char> buffer(kPieceBytes);
  pb::UploadSourceRequest request;
  request.set_parent(parent);
  while (in.read(buffer.data(), static_cast<std::streamsize>(buffer.size())).gcount() > 0) {
    request.mutable_content()->set_data(buffer.data(), static_cast<std::size_t>(in.gcount()));
    exchange->Send(request);
    request.clear_parent();
  }
  exchange->EndSending();
  ASSIGN_OR_RETURN(const auto stored, exchange->Receive<pb::UploadSourceResponse>());
  if (stored && stored->digest() == source.digest) return absl::OkStatus();
  return absl::DataLossError("what the server stored is not what was sent: try again");
}

// What can be checked of a function whose source is not there yet: all but its source.
void StandIn(pb::ProcessDriver* process) {
  process->clear_source_digest();
  process->clear_entry();
  if (process->command_size() == 0) process->set_source("#!");
}

absl::Status PrintDeployed(Context& context, const pb::Function& function, const Source& source,
                           std::string_view what, std::string_view upload) {
  const Format format = context.FormatOr(Format::kTable);
  if (format != Format::kTable) return context.Print(function, format);
  context.io.out << fmt::format("source {} {} ({} {}, {} bytes)\n", source.digest, upload,
                                source.files, source.files == 1 ? "file" : "files", source.bytes)
                 << fmt::format("function \"{}\" {} ({}, version {})\n", IdOf(function.name()),
                                what, pb::Function::State_Name(function.state()),
                                function.version());
  return absl::OkStatus();
}

// The version that was deployed, when an executor has started it or could not.
absl::StatusOr<pb::Function> WaitUntilDeployed(pb::Function function, Context& context) {
  pb::GetFunctionRequest request;
  request.set_name(fmt::format("{}@{}", function.name(), function.version()));
  const MonotonicTime end = context.clock.Monotonic() + context.timeout.value_or(kWaitLimit);
  while (function.state() == pb::Function::DEPLOYING && context.clock.Monotonic() < end) {
    std::this_thread::sleep_for(kWaitInterval);
    const auto now = context.client().Call<pb::Function>(kGetFunction, request);
    const bool is_away =
        absl::IsUnavailable(now.status()) || absl::IsDeadlineExceeded(now.status());
    if (is_away) continue;  // It is stored, and the server may come back.
    RETURN_IF_ERROR(now.status());
    function.set_state(now->state());
    function.set_state_reason(now->state_reason());
  }
  return function;
}

absl::Status CheckDeployed(const pb::Function& function) {
  const std::string id = IdOf(function.name());
  if (function.state() == pb::Function::FAILED) {
    return absl::FailedPreconditionError(
        fmt::format("version {} of \"{}\" does not start (executors will try again): {}",
                    function.version(), id, function.state_reason()));
  }
  if (function.state() != pb::Function::DEPLOYING) return absl::OkStatus();
  return absl::DeadlineExceededError(
      fmt::format("version {} of \"{}\" is stored, but no function-executor has started it yet: "
                  "look again with `penstock function get {}`, or do not wait with --no-wait",
                  function.version(), id, id));
}

absl::Status Deploy(const Options& options, Context& context) {
  std::string space;
  ASSIGN_OR_RETURN(const pb::Function wanted, ReadManifest(options.folder, context, &space));
  const TempFile file;
  ASSIGN_OR_RETURN(const Source source, PackFolder(options.folder, file));
  const std::string parent = "spaces/" + space;
  ASSIGN_OR_RETURN(const bool is_uploaded, IsUploaded(parent, source.digest, context));
  if (!is_uploaded && !options.is_dry_run) RETURN_IF_ERROR(Upload(parent, source, context));

  pb::GetFunctionRequest get;
  get.set_name(wanted.name());
  const auto current = context.client().Call<pb::Function>(kGetFunction, get);
  if (!current.ok() && current.status().code() != absl::StatusCode::kNotFound) {
    return current.status();
  }
  pb::UpdateFunctionRequest update;
  *update.mutable_function() = wanted;
  update.mutable_function()->mutable_process()->set_source_digest(source.digest);
  if (!is_uploaded && options.is_dry_run) StandIn(update.mutable_function()->mutable_process());
  update.mutable_update_mask()->add_paths("*");
  update.set_allow_missing(true);
  update.set_validate_only(options.is_dry_run);
  ASSIGN_OR_RETURN(auto deployed, context.client().Call<pb::Function>(kUpdateFunction, update));
  const bool is_changed = !current.ok() || deployed.version() != current->version();
  const std::string_view done = !current.ok() ? "created" : is_changed ? "updated" : "unchanged";
  const std::string_view upload = is_uploaded ? "is there already" : "uploaded";
  if (!options.is_dry_run) {
    if (options.is_waiting) {
      ASSIGN_OR_RETURN(deployed, WaitUntilDeployed(deployed, context));
    }
    RETURN_IF_ERROR(PrintDeployed(context, deployed, source, done, upload));
    return options.is_waiting ? CheckDeployed(deployed) : absl::OkStatus();
  }
  return PrintDeployed(context, deployed, source,
                       is_changed ? fmt::format("would be {}", done) : "would be left as it is",
                       is_uploaded ? upload : "would be uploaded");
}

}  // namespace

void AddDeployCommand(Cli& cli, CLI::App* function) {
  const auto options = std::make_shared<Options>();
  CLI::App* const deploy = Cli::Add(
      function, "deploy", "Makes a function of a folder with a penstock.yaml",
      "  penstock function deploy shop/\n"
      "  penstock function deploy shop/ --dry-run\n"
      "It ends when an executor has started the function (or in 60s, or --timeout), and fails "
      "with\n"
      "the reason and the end of the function's log when that does not work.\n"
      "shop/penstock.yaml holds what `penstock apply` takes for a function, without its source:\n"
      "  name: shop\n"
      "  process: {runtime: python3, entry: main.py}\n"
      "  timeout: 5s\n"
      "  secrets: [db]");
  deploy->add_option("folder", options->folder, "the folder")->required();
  deploy->add_flag("!--no-wait", options->is_waiting,
                   "return without waiting until an executor has started it");
  deploy->add_flag("--dry-run", options->is_dry_run, "check everything and change nothing");
  cli.SetAction(deploy, [options](Context& context) { return Deploy(*options, context); });
}

}  // namespace penstock::cli
