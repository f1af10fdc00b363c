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

absl::Status Program::Prepare() {
  if (prepared_) return absl::OkStatus();
  const std::string& runtime = target().runtime;
  if (runtime != "python3" && runtime != "node" && runtime != "exec") {
    return FieldError("process.runtime", "expected python3, node or exec");
  }
  if (runtime == "exec" && target().command.empty() && target().source.substr(0, 2) != "#!") {
    return FieldError("process.source",
                      "expected a script whose first line is #! and its interpreter, or a command");
  }
  Remove();
  RETURN_IF_ERROR(MakeFolder(folder_));
  RETURN_IF_ERROR(MakeFolder(fs::path(folder_) / kMarkerFolder));
  if (runtime != "exec") {
    const bool python = runtime == "python3";
    RETURN_IF_ERROR(WriteFile(fmt::format("{}/{}/bootstrap", folder_, kMarkerFolder),
                              python ? kPythonBootstrap : kNodeBootstrap, 0600));
  }
  if (runtime != "exec" || target().command.empty()) {
    RETURN_IF_ERROR(WriteFile(fmt::format("{}/{}", folder_, SourceName(runtime)), target().source,
                              runtime == "exec" ? 0700 : 0600));
  }
  prepared_ = true;
  return absl::OkStatus();
}

void Program::Remove() {
  prepared_ = false;
  std::error_code ignored;  // What cannot be deleted is found again by RemoveLeftovers.
  fs::remove_all(folder_, ignored);
  fs::remove(fs::path(folder_).parent_path(), ignored);  // Unless another version is in it.
}

LaunchPlan Program::Plan() const {
  const std::string& runtime = target().runtime;
  const std::int64_t memory = std::max<std::int64_t>(target().memory_bytes_max, kMebibyte);
  LaunchPlan plan;
  plan.private_channel = runtime != "exec";
  std::int64_t data_bytes = memory;
  if (runtime == "node") data_bytes += kNodeOverheadBytes;
  plan.arguments = {options_.launcher_path,
                    fmt::format("--parent={}", ::getpid()),
                    fmt::format("--work-dir={}", folder_),
                    fmt::format("--answer-fd={}", plan.private_channel ? kAnswerFd : STDOUT_FILENO),
                    fmt::format("--data-bytes={}", data_bytes),
                    fmt::format("--files={}", options_.files_max)};
  if (runtime == "python3") {
    plan.arguments.push_back(fmt::format("--address-bytes={}", memory + kAddressSlackBytes));
  }
  plan.arguments.push_back("--");
  const std::string bootstrap = fmt::format("{}/bootstrap", kMarkerFolder);
  std::vector<std::string> command;
  if (runtime == "python3") {
    command = {options_.python, "-s", "-X", "utf8", bootstrap, SourceName(runtime),
               target().handler};
  } else if (runtime == "node") {
    command = {options_.node, fmt::format("--max-old-space-size={}", memory / kMebibyte), bootstrap,
               SourceName(runtime), target().handler};
  } else if (!target().command.empty()) {
    command = target().command;
  } else {
    command = {fmt::format("{}/{}", folder_, SourceName(runtime))};
  }
  plan.arguments.insert(plan.arguments.end(), command.begin(), command.end());

  std::map<std::string, std::string> environment = {{"PATH", "/usr/local/bin:/usr/bin:/bin"},
                                                    {"HOME", folder_},
                                                    {"TMPDIR", folder_},
                                                    {"LANG", "C.UTF-8"}};
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
