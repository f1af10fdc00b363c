#include "services/function-manager/domain/check_driver.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <boost/url/parse.hpp>
#include <boost/url/url_view.hpp>
#include <set>
#include <string>
#include <string_view>

#include "libs/base/names.h"
#include "libs/base/sha256.h"
#include "services/function-manager/domain/check_spec.h"
#include "services/function-manager/domain/text.h"

namespace penstock::functions {
namespace {

constexpr std::size_t kUrlMax = 2048;
constexpr std::size_t kHeadersMax = 32;
constexpr std::size_t kHeaderNameMax = 128;
constexpr std::size_t kHeaderValueMax = 4096;
constexpr std::size_t kHandlerMax = 128;
constexpr std::size_t kCommandCountMax = 64;
constexpr std::size_t kCommandBytesMax = 32 << 10;
constexpr std::int32_t kWorkersMax = 64;
constexpr std::int64_t kMemoryMin = std::int64_t{16} << 20;
constexpr std::int64_t kMemoryMax = std::int64_t{1} << 40;
constexpr std::int64_t kOutputMax = std::int64_t{6} << 20;
constexpr std::int64_t kMaxCallsMax = 1'000'000;
constexpr std::size_t kWeightedTargetsMax = 20;
constexpr std::int32_t kWeightMax = 1000;
constexpr Microseconds kCpuTimeMin{10'000};
// The bootstraps keep their own descriptors at 100 and above.
constexpr std::int32_t kOpenFilesMin = 128;
constexpr std::int32_t kOpenFilesMax = 65'536;
constexpr std::size_t kEntryMax = 256;
constexpr Microseconds kIdleTimeoutMax{24 * 3600 * 1'000'000LL};

// Headers that belong to one connection, or that frame the body: the executor's to set.
constexpr std::array<std::string_view, 10> kHopByHop = {
    "connection", "content-length",    "keep-alive", "proxy-authenticate", "proxy-authorization",
    "te",         "transfer-encoding", "trailer",    "trailers",           "upgrade"};

using Violations = std::vector<FieldViolation>;

}  // namespace

std::string UrlProblem(std::string_view text) {
  if (text.empty()) return "is required: expected an absolute http or https URL";
  if (text.size() > kUrlMax) {
    return fmt::format("has {} characters: expected at most {}", text.size(), kUrlMax);
  }
  const auto parsed = boost::urls::parse_uri({text.data(), text.size()});
  if (!parsed) return fmt::format("{} is not an absolute URL", Quoted(text));
  const boost::urls::url_view& url = *parsed;
  const std::string scheme = LowerCase({url.scheme().data(), url.scheme().size()});
  if (scheme != "http" && scheme != "https") {
    return fmt::format("{} is not an http or https URL", Quoted(text));
  }
  if (url.encoded_host().empty()) return fmt::format("{} names no host", Quoted(text));
  if (url.has_userinfo()) return "has a user or password: expected them in a header";
  if (url.has_port() && !url.port().empty() && url.port_number() == 0) {
    return fmt::format("{} has a port out of range: expected 1 to 65535", Quoted(text));
  }
  if (url.has_fragment()) return fmt::format("{} has a fragment: expected none", Quoted(text));
  return {};
}

namespace {

void CheckHeaders(const HttpDriver& http, Violations& violations) {
  if (http.headers.size() > kHeadersMax) {
    violations.push_back({"http.headers", fmt::format("has {} headers: expected at most {}",
                                                      http.headers.size(), kHeadersMax)});
    return;
  }
  std::set<std::string> seen;
  for (const auto& [name, value] : http.headers) {
    const std::string lower = LowerCase(name);
    if (!IsHttpToken(name) || name.size() > kHeaderNameMax) {
      violations.push_back(
          {"http.headers", fmt::format("{} is not the name of a header", Quoted(name))});
    } else if (std::find(kHopByHop.begin(), kHopByHop.end(), lower) != kHopByHop.end()) {
      violations.push_back(
          {"http.headers",
           fmt::format("{} belongs to the connection and cannot be set", Quoted(name))});
    } else if (!seen.insert(lower).second) {
      violations.push_back({"http.headers", fmt::format("{} is there twice", Quoted(name))});
    } else if (value.size() > kHeaderValueMax || !IsHeaderValue(value)) {
      violations.push_back(
          {fmt::format("http.headers[{}]", Quoted(name)),
           fmt::format("expected at most {} bytes without control characters", kHeaderValueMax)});
    }
  }
}

void CheckHttp(const HttpDriver& http, Violations& violations) {
  if (std::string problem = UrlProblem(http.url); !problem.empty()) {
    violations.push_back({"http.url", std::move(problem)});
  }
  CheckHeaders(http, violations);
}

// Whether `path` stays below the folder that it starts from.
bool IsInnerPath(std::string_view path) {
  if (path.empty() || path.size() > kEntryMax || path.find('\0') != std::string_view::npos) {
    return false;
  }
  while (!path.empty()) {
    const std::size_t slash = path.find('/');
    const std::string_view part = path.substr(0, slash);
    if (part.empty() || part == "." || part == "..") return false;
    if (slash == std::string_view::npos) return true;
    path.remove_prefix(slash + 1);
  }
  return false;
}

void CheckSource(const ProcessDriver& process, Violations& violations) {
  if (process.source.size() > kSourceBytesMax) {
    violations.push_back(
        {"process.source",
         fmt::format("has {} bytes: expected at most {} (512 KiB), or an upload and its "
                     "source_digest",
                     process.source.size(), kSourceBytesMax)});
  }
  if (!process.source_digest.empty() && !IsSha256Hex(process.source_digest)) {
    violations.push_back({"process.source_digest",
                          fmt::format("{} is not what UploadSource gives: expected 64 lower-case "
                                      "hexadecimal digits",
                                      Quoted(process.source_digest))});
  }
  if (!process.source_digest.empty() && !process.source.empty()) {
    violations.push_back({"process.source_digest", "must not be set together with source"});
  }
  if (process.entry.empty()) return;
  if (process.source_digest.empty()) {
    violations.push_back(
        {"process.entry", "names a file of an archive: expected a source_digest beside it"});
  }
  if (!IsInnerPath(process.entry)) {
    violations.push_back(
        {"process.entry", fmt::format("{} is not a path inside the archive: expected one like "
                                      "\"src/main.py\", at most {} characters",
                                      Quoted(process.entry), kEntryMax)});
  }
}

void CheckCommand(const ProcessDriver& process, Violations& violations) {
  std::size_t bytes = 0;
  bool has_zero = false;
  for (const std::string& argument : process.command) {
    bytes += argument.size() + 1;
    has_zero = has_zero || argument.find('\0') != std::string::npos;
  }
  if (!process.command.front().starts_with('/')) {
    violations.push_back({"process.command", fmt::format("{} is not an absolute path of a program",
                                                         Quoted(process.command.front()))});
  }
  if (process.command.size() > kCommandCountMax || bytes > kCommandBytesMax) {
    violations.push_back(
        {"process.command",
         fmt::format("has {} parts and {} bytes: expected at most {} and {}",
                     process.command.size(), bytes, kCommandCountMax, kCommandBytesMax)});
  }
  if (has_zero) {
    violations.push_back({"process.command", "holds a zero byte, which no argument can"});
  }
}

// The rules for programs that are run as they are.
void CheckExec(const ProcessDriver& process, Violations& violations) {
  const bool has_source = !process.source.empty();
  const bool has_command = !process.command.empty();
  if (process.source_digest.empty() && has_source == has_command) {
    violations.push_back({"process", "runtime \"exec\" needs exactly one of source and command"});
  } else if (!process.entry.empty() && has_command) {
    violations.push_back(
        {"process.entry", "must not be set together with command, which may name the file itself"});
  }
  if (!process.source.empty() && !process.source.starts_with("#!")) {
    violations.push_back(
        {"process.source", "for runtime \"exec\": expected a script that starts with \"#!\""});
  }
  if (!process.handler.empty()) {
    violations.push_back({"process.handler", "is not for runtime \"exec\": expected none"});
  }
  if (!process.command.empty()) CheckCommand(process, violations);
}

// The rules for source that one of our bootstraps loads.
void CheckScript(const ProcessDriver& process, Violations& violations) {
  if (process.source.empty() && process.source_digest.empty()) {
    violations.push_back(
        {"process.source", fmt::format("is required for runtime {}: expected the program text",
                                       Quoted(process.runtime))});
  }
  if (!process.command.empty()) {
    violations.push_back({"process.command", "is only for runtime \"exec\": expected none"});
  }
  if (process.handler.size() > kHandlerMax || !IsIdentifier(process.handler)) {
    violations.push_back(
        {"process.handler",
         fmt::format("{} is not the name of a function: expected letters, digits and "
                     "underscores, at most {}",
                     Quoted(process.handler), kHandlerMax)});
  }
}

void CheckProcessLimits(const ProcessDriver& process, Violations& violations) {
  if (process.max_workers < 1 || process.max_workers > kWorkersMax) {
    violations.push_back({"process.max_workers", fmt::format("is {}: expected 1 to {}",
                                                             process.max_workers, kWorkersMax)});
  }
  if (process.idle_timeout < kTimeoutMin || process.idle_timeout > kIdleTimeoutMax) {
    violations.push_back({"process.idle_timeout", "expected 1ms to 24h"});
  }
  if (process.max_memory_bytes < kMemoryMin || process.max_memory_bytes > kMemoryMax) {
    violations.push_back({"process.max_memory_bytes",
                          fmt::format("is {}: expected {} to {} (16 MiB to 1 TiB)",
                                      process.max_memory_bytes, kMemoryMin, kMemoryMax)});
  }
  if (process.max_output_bytes < 1 || process.max_output_bytes > kOutputMax) {
    violations.push_back(
        {"process.max_output_bytes",
         fmt::format("is {}: expected 1 to {} (6 MiB)", process.max_output_bytes, kOutputMax)});
  }
  // 0 is never too many, whatever is wrong with max_workers.
  if (process.min_workers < 0 || process.min_workers > std::max(process.max_workers, 0)) {
    violations.push_back(
        {"process.min_workers", fmt::format("is {}: expected 0 to max_workers, which is {}",
                                            process.min_workers, process.max_workers)});
  }
  if (process.max_calls < 1 || process.max_calls > kMaxCallsMax) {
    violations.push_back({"process.max_calls",
                          fmt::format("is {}: expected 1 to {}", process.max_calls, kMaxCallsMax)});
  }
  if (process.max_cpu_time != Microseconds(0) &&
      (process.max_cpu_time < kCpuTimeMin || process.max_cpu_time > kTimeoutMax)) {
    violations.push_back({"process.max_cpu_time", "expected 10ms to 15m"});
  }
  if (process.max_open_files < kOpenFilesMin || process.max_open_files > kOpenFilesMax) {
    violations.push_back(
        {"process.max_open_files", fmt::format("is {}: expected {} to {}", process.max_open_files,
                                               kOpenFilesMin, kOpenFilesMax)});
  }
}

void CheckProcess(const ProcessDriver& process, Violations& violations) {
  CheckSource(process, violations);
  if (process.runtime == "exec") {
    CheckExec(process, violations);
  } else if (process.runtime == "python3" || process.runtime == "node") {
    CheckScript(process, violations);
  } else if (process.runtime.empty()) {
    violations.push_back({"process.runtime", "is required: expected python3, node or exec"});
  } else {
    violations.push_back(
        {"process.runtime", fmt::format("{} is not a runtime: expected python3, node or exec",
                                        Quoted(process.runtime))});
  }
  CheckProcessLimits(process, violations);
}

void CheckWeighted(const WeightedDriver& weighted, Violations& violations) {
  const std::size_t count = weighted.targets.size();
  if (count < 1 || count > kWeightedTargetsMax) {
    violations.push_back({"weighted.targets", fmt::format("has {} functions: expected 1 to {}",
                                                          count, kWeightedTargetsMax)});
    return;
  }
  std::set<std::string> seen;
  bool has_share = false;
  for (std::size_t i = 0; i < count; ++i) {
    const WeightedTarget& target = weighted.targets[i];
    const std::string field = fmt::format("weighted.targets[{}]", i);
    for (FieldViolation& violation :
         FieldViolationsOf(CheckResourceId(field + ".function", target.function))) {
      violations.push_back(std::move(violation));
    }
    if (!seen.insert(target.function).second) {
      violations.push_back(
          {field + ".function", fmt::format("{} is there twice", Quoted(target.function))});
    }
    if (target.weight < 0 || target.weight > kWeightMax) {
      violations.push_back(
          {field + ".weight", fmt::format("is {}: expected 0 to {}", target.weight, kWeightMax)});
    }
    has_share = has_share || target.weight > 0;
  }
  if (!has_share) {
    violations.push_back({"weighted.targets", "all have weight 0: expected one above"});
  }
}

}  // namespace

void CheckDriver(const Driver& driver, Violations& violations) {
  if (const auto* http = std::get_if<HttpDriver>(&driver)) {
    CheckHttp(*http, violations);
  } else if (const auto* process = std::get_if<ProcessDriver>(&driver)) {
    CheckProcess(*process, violations);
  } else if (const auto* weighted = std::get_if<WeightedDriver>(&driver)) {
    CheckWeighted(*weighted, violations);
  } else if (std::holds_alternative<std::monostate>(driver)) {
    violations.push_back(
        {"", "exactly one driver is required: expected http, process, weighted or noop"});
  }
}

}  // namespace penstock::functions
