#include "services/function-executor/drivers/process/program.h"

#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <map>
#include <string_view>
#include <system_error>
#include <utility>

#include "bootstrap/node.js.h"
#include "bootstrap/python3.py.h"
#include "fmt/format.h"
#include "libs/base/ids.h"
#include "libs/base/status.h"

namespace penstock::executor {
namespace {

namespace fs = std::filesystem;

// Holds the bootstrap, and marks a folder as one of ours.
constexpr char kMarkerFolder[] = ".penstock";
constexpr int kRequestFd = 3;
constexpr int kAnswerFd = 4;
constexpr std::int64_t kMebibyte = 1 << 20;
// What node needs beside the heap that --max-old-space-size bounds: stacks, code, young generation.
constexpr std::int64_t kNodeOverheadBytes = 128 * kMebibyte;
// Shared mappings are not in RLIMIT_DATA; this much more address space still bounds them for
// Python.
constexpr std::int64_t kAddressSlackBytes = 1024 * kMebibyte;

// A uid as a folder name; an unusual one is replaced by its digest.
std::string FolderName(const std::string& uid) {
  const bool plain = !uid.empty() && uid.size() <= 128 && uid.front() != '.' &&
                     std::all_of(uid.begin(), uid.end(), [](unsigned char c) {
                       return std::isalnum(c) != 0 || c == '-' || c == '_' || c == '.';
                     });
  return plain ? uid : Sha256Hex(uid);
}

absl::Status WriteFile(const std::string& path, std::string_view text, mode_t mode) {
  std::ofstream file(path, std::ios::binary | std::ios::trunc);
  file.write(text.data(), static_cast<std::streamsize>(text.size()));
  file.close();
  if (!file) return absl::UnavailableError(fmt::format("cannot write {}", path));
  if (::chmod(path.c_str(), mode) != 0) {
    return absl::UnavailableError(fmt::format("cannot set the mode of {}", path));
  }
  return absl::OkStatus();
}

absl::Status MakeFolder(const fs::path& path) {
  std::error_code error;
  fs::create_directories(path, error);
  if (!error) fs::permissions(path, fs::perms::owner_all, error);
  if (!error) return absl::OkStatus();
  return absl::UnavailableError(
      fmt::format("cannot make the folder {}: {}", path.string(), error.message()));
}

const char* SourceName(const std::string& runtime) {
  if (runtime == "python3") return "function.py";
  // No package.json in a folder above can turn this into a module of another kind.
  if (runtime == "node") return "function.cjs";
  return "function";
}

}  // namespace

Program::Program(const ProcessDriverOptions& options, std::shared_ptr<const FunctionSpec> function)
    : options_(options),
      function_(std::move(function)),
      folder_(fmt::format("{}/{}/{}", options.work_dir, FolderName(function_->uid),
                          function_->version)) {}

const ProcessTarget& Program::target() const { return std::get<ProcessTarget>(function_->target); }

const std::string& Program::code_folder() const {
  return source_ && target().source_is_archive() ? source_->path : folder_;
}

absl::Status Program::CheckTarget() const {
  const std::string& runtime = target().runtime;
  if (runtime != "python3" && runtime != "node" && runtime != "exec") {
    return FieldError("process.runtime", "expected python3, node or exec");
  }
  if (runtime == "exec" && target().command.empty() && !source_ &&
      target().source.substr(0, 2) != "#!") {
    return FieldError("process.source",
                      "expected a script whose first line is #! and its interpreter, or a command");
  }
  return absl::OkStatus();
}

absl::Status Program::PlaceSource() const {
  const bool is_exec = target().runtime == "exec";
  const std::string path = fmt::format("{}/{}", folder_, SourceName(target().runtime));
  if (!source_) {
    if (is_exec && !target().command.empty()) return absl::OkStatus();
    return WriteFile(path, target().source, is_exec ? 0700 : 0600);
  }
  std::error_code error;
  if (target().source_is_archive()) {
    if (target().entry.empty()) return absl::OkStatus();
    const fs::path entry = fs::path(source_->path) / target().entry;
    const fs::file_status status = fs::symlink_status(entry, error);
    if (!fs::is_regular_file(status)) {
      return FieldError("process.entry",
                        fmt::format("there is no file \"{}\" in the archive", target().entry));
    }
    if (is_exec && (status.permissions() & fs::perms::owner_exec) == fs::perms::none) {
      return FieldError("process.entry", fmt::format("\"{}\" may not be run: its mode in the "
                                                     "archive lacks the x bit",
                                                     target().entry));
    }
    return absl::OkStatus();
  }
  fs::copy_file(source_->path, path, fs::copy_options::overwrite_existing, error);
  if (!error) fs::permissions(path, is_exec ? fs::perms::owner_all : fs::perms(0600), error);
  if (!error) return absl::OkStatus();
  return absl::UnavailableError(fmt::format("cannot copy the source: {}", error.message()));
}

absl::Status Program::GiveFolder() const {
  if (options_.user.empty()) return absl::OkStatus();
  std::error_code error;
  std::vector<fs::path> paths{folder_};
  for (fs::recursive_directory_iterator it(folder_, error), end; !error && it != end;
       it.increment(error)) {
    paths.push_back(it->path());
  }
  for (const fs::path& path : paths) {
    if (::lchown(path.c_str(), options_.user_id, options_.group_id) != 0) {
      return absl::UnavailableError(fmt::format("cannot give {} to the user {}: {}", path.string(),
                                                options_.user, std::strerror(errno)));
    }
  }
  return absl::OkStatus();
}

absl::Status Program::Prepare(const SourceCache::Held& source) {
  if (prepared_) return absl::OkStatus();
  source_ = source;
  RETURN_IF_ERROR(CheckTarget());
  const std::string& runtime = target().runtime;
  Remove();
  RETURN_IF_ERROR(MakeFolder(folder_));
  RETURN_IF_ERROR(MakeFolder(fs::path(folder_) / kMarkerFolder));
  if (runtime != "exec") {
    const bool python = runtime == "python3";
    RETURN_IF_ERROR(WriteFile(fmt::format("{}/{}/bootstrap", folder_, kMarkerFolder),
                              python ? kPythonBootstrap : kNodeBootstrap, 0600));
  }
  RETURN_IF_ERROR(PlaceSource());
  RETURN_IF_ERROR(GiveFolder());
  prepared_ = true;
  return absl::OkStatus();
}

void Program::Remove() {
  prepared_ = false;
  std::error_code ignored;  // What cannot be deleted is found again by RemoveLeftovers.
  fs::remove_all(folder_, ignored);
  fs::remove(fs::path(folder_).parent_path(), ignored);  // Unless another version is in it.
}

void Program::AddLimits(LaunchPlan* plan) const {
  const std::string& runtime = target().runtime;
  const std::int64_t memory = std::max<std::int64_t>(target().memory_bytes_max, kMebibyte);
  std::int64_t data_bytes = memory;
  if (runtime == "node") data_bytes += kNodeOverheadBytes;
  const int files = target().files_max > 0 ? target().files_max : options_.files_max;
  plan->arguments.push_back(fmt::format("--data-bytes={}", data_bytes));
  plan->arguments.push_back(fmt::format("--files={}", files));
  if (runtime == "python3") {
    plan->arguments.push_back(fmt::format("--address-bytes={}", memory + kAddressSlackBytes));
  }
}

void Program::AddIsolation(LaunchPlan* plan) const {
  const ProcessIsolation& isolation = target().isolation;
  if (!options_.user.empty()) {
    plan->arguments.push_back(fmt::format("--user={}", options_.user_id));
    plan->arguments.push_back(fmt::format("--group={}", options_.group_id));
  }
  if (isolation.own_user) plan->arguments.push_back("--require=user");
  if (isolation.no_network) plan->arguments.push_back("--require=no-network");
  if (isolation.own_namespaces) plan->arguments.push_back("--require=namespaces");
  if (isolation.any() && isolation.best_effort) plan->arguments.push_back("--best-effort=1");
}

std::vector<std::string> Program::Command() const {
  const std::string& runtime = target().runtime;
  const std::string source = target().entry.empty() ? SourceName(runtime) : target().entry;
  const std::string bootstrap = fmt::format("{}/{}/bootstrap", folder_, kMarkerFolder);
  if (runtime == "python3") {
    return {options_.python, "-s", "-X", "utf8", bootstrap, source, target().handler};
  }
  if (runtime == "node") {
    const std::int64_t memory = std::max<std::int64_t>(target().memory_bytes_max, kMebibyte);
    return {options_.node, fmt::format("--max-old-space-size={}", memory / kMebibyte), bootstrap,
            source, target().handler};
  }
  if (!target().command.empty()) return target().command;
  return {fmt::format("{}/{}", code_folder(), source)};
}

LaunchPlan Program::Plan() const {
  LaunchPlan plan;
  plan.private_channel = target().runtime != "exec";
  plan.arguments = {
      options_.launcher_path, fmt::format("--parent={}", ::getpid()),
      fmt::format("--work-dir={}", code_folder()),
      fmt::format("--answer-fd={}", plan.private_channel ? kAnswerFd : STDOUT_FILENO)};
  AddLimits(&plan);
  AddIsolation(&plan);
  plan.arguments.push_back("--");
  const std::vector<std::string> command = Command();
  plan.arguments.insert(plan.arguments.end(), command.begin(), command.end());

  std::map<std::string, std::string> environment = {{"PATH", "/usr/local/bin:/usr/bin:/bin"},
                                                    {"HOME", folder_},
                                                    {"TMPDIR", folder_},
                                                    {"LANG", "C.UTF-8"}};
  // Modules of an archive are compiled once for all workers: its own folder is not theirs to write.
  if (code_folder() != folder_) environment["PYTHONPYCACHEPREFIX"] = folder_ + "/.pycache";
  for (const auto& [name, value] : function_->environment) environment[name] = value;
  if (plan.private_channel) {
    environment["PENSTOCK_CHANNEL"] = fmt::format("{},{}", kRequestFd, kAnswerFd);
  }
  for (const auto& [name, value] : environment) plan.environment.push_back(name + "=" + value);
  return plan;
}

void RemoveLeftovers(const std::string& work_dir) {
  std::error_code error;
  std::vector<fs::path> stale;
  for (fs::directory_iterator uid(work_dir, error), end; !error && uid != end;
       uid.increment(error)) {
    std::error_code inner;
    if (!uid->is_directory(inner)) continue;
    for (fs::directory_iterator version(uid->path(), inner); !inner && version != end;
         version.increment(inner)) {
      if (fs::is_directory(version->path() / kMarkerFolder, inner))
        stale.push_back(version->path());
      inner.clear();
    }
  }
  for (const fs::path& folder : stale) {
    std::error_code ignored;
    fs::remove_all(folder, ignored);
    fs::remove(folder.parent_path(), ignored);
  }
}

}  // namespace penstock::executor
