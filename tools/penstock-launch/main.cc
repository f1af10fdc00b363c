// Prepares this process for a function's worker and becomes it. README.md gives the steps and the
// options.
#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>
#include <string_view>

#include "tools/penstock-launch/isolation.h"
#include "tools/penstock-launch/settings.h"

namespace penstock::launch {
namespace {

std::string JsonString(std::string_view text) {
  std::string out = "\"";
  for (const char c : text) {
    if (c == '"' || c == '\\') out += '\\';
    // Names of programs and folders hold no control characters worth keeping.
    out += static_cast<unsigned char>(c) < 0x20 ? ' ' : c;
  }
  return out + '"';
}

}  // namespace

void Fail(const Settings& settings, const std::string& message) {
  const std::string line =
      R"({"ready":false,"error":{"category":"FunctionError","type":"StartFailed",)"
      R"("message":)" +
      JsonString(message) + "}}\n";
  // The parent may be gone; there is nobody else to tell.
  const ssize_t written = ::write(settings.answer_fd, line.data(), line.size());
  std::_Exit(written < 0 ? kStartFailed - 1 : kStartFailed);
}

void FailWithErrno(const Settings& settings, const std::string& action) {
  Fail(settings, action + ": " + std::strerror(errno));
}

namespace {

bool ParseNumber(const char* text, unsigned long long* number) {
  if (*text < '0' || *text > '9') return false;
  char* end = nullptr;
  errno = 0;
  *number = std::strtoull(text, &end, 10);
  return errno == 0 && *end == '\0';
}

bool ReadRequirement(std::string_view name, Settings* settings) {
  if (name == "user") {
    settings->needs_user = true;
  } else if (name == "no-network") {
    settings->needs_no_network = true;
  } else if (name == "namespaces") {
    settings->needs_namespaces = true;
  } else {
    return false;
  }
  return true;
}

// Reads one "--name=value" into `settings`; false when it is none that we know.
bool ReadOption(std::string_view argument, Settings* settings) {
  const std::size_t equals = argument.find('=');
  if (equals == std::string_view::npos) return false;
  const std::string_view name = argument.substr(0, equals);
  const char* value = argument.data() + equals + 1;  // Ends with argv's own terminator.
  if (name == "--work-dir") {
    settings->work_dir = value;
    return true;
  }
  if (name == "--require") return ReadRequirement(value, settings);
  unsigned long long number = 0;
  if (!ParseNumber(value, &number)) return false;
  if (name == "--parent") {
    settings->parent = static_cast<pid_t>(number);
  } else if (name == "--answer-fd") {
    settings->answer_fd = static_cast<int>(number);
  } else if (name == "--data-bytes") {
    settings->data_bytes = number;
  } else if (name == "--address-bytes") {
    settings->address_bytes = number;
  } else if (name == "--files") {
    settings->files = number;
  } else if (name == "--user") {
    settings->user = static_cast<uid_t>(number);
  } else if (name == "--group") {
    settings->group = static_cast<gid_t>(number);
  } else if (name == "--best-effort") {
    settings->best_effort = number != 0;
  } else {
    return false;
  }
  return true;
}

Settings ReadArguments(int argc, char** argv) {
  Settings settings;
  for (int i = 1; i < argc; ++i) {
    if (std::string_view(argv[i]) == "--") {
      if (i + 1 < argc) settings.program = argv + i + 1;
      break;
    }
    if (!ReadOption(argv[i], &settings)) {
      std::fprintf(stderr, "penstock-launch: unknown or malformed argument '%s'\n", argv[i]);
      std::_Exit(kStartFailed);
    }
  }
  if (settings.program == nullptr) {
    std::fprintf(stderr, "penstock-launch: expected '-- PROGRAM [ARGUMENT]...'\n");
    std::_Exit(kStartFailed);
  }
  return settings;
}

void Limit(const Settings& settings, __rlimit_resource resource, rlim_t value, const char* name) {
  // A hard limit that is lower already may not be raised, and need not be.
  rlimit limit{};
  if (::getrlimit(resource, &limit) == 0 && limit.rlim_max < value) value = limit.rlim_max;
  limit = {.rlim_cur = value, .rlim_max = value};
  if (::setrlimit(resource, &limit) != 0)
    FailWithErrno(settings, std::string("cannot limit ") + name);
}

// `parent` is 0 when it cannot be known.
void DieWithParent(const Settings& settings, pid_t parent) {
  if (::prctl(PR_SET_PDEATHSIG, SIGKILL) != 0)
    FailWithErrno(settings, "cannot set the death signal");
  // The parent may have died before the call above: then nobody would ever end this process.
  if (parent != 0 && ::getppid() != parent) std::_Exit(kStartFailed);
}

[[noreturn]] void Launch(const Settings& settings) {
  DieWithParent(settings, settings.parent);
  // The spawner asks for a session too; only a process group leader cannot make one.
  if (::getsid(0) != ::getpid() && ::setsid() < 0)
    FailWithErrno(settings, "cannot start a session");
  if (!settings.work_dir.empty() && ::chdir(settings.work_dir.c_str()) != 0) {
    FailWithErrno(settings, "cannot enter the work folder " + settings.work_dir);
  }
  Limit(settings, RLIMIT_CORE, 0, "core dumps");
  if (settings.files != 0) Limit(settings, RLIMIT_NOFILE, settings.files, "open files");
  const std::string isolation = Isolate(settings);
  // A change of user or capabilities has taken the death signal away. In a namespace the parent is
  // its first process, with which every other ends anyway.
  DieWithParent(settings, ::getppid() == 1 ? 0 : settings.parent);
  if (!isolation.empty()) ::setenv("PENSTOCK_ISOLATION", isolation.c_str(), 1);
  if (::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0)
    FailWithErrno(settings, "cannot drop privileges");
  if (settings.address_bytes != RLIM_INFINITY) {
    Limit(settings, RLIMIT_AS, settings.address_bytes, "the address space");
  }
  if (settings.data_bytes != RLIM_INFINITY) {
    Limit(settings, RLIMIT_DATA, settings.data_bytes, "memory");
  }
  ::execvp(settings.program[0], settings.program);
  FailWithErrno(settings, std::string("cannot run ") + settings.program[0]);
}

}  // namespace
}  // namespace penstock::launch

int main(int argc, char** argv) {
  penstock::launch::Launch(penstock::launch::ReadArguments(argc, argv));
}
