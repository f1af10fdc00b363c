// Runs jq programs on inputs that come one by one. README.md has what it speaks.
#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <list>
#include <memory>
#include <new>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>

#include "libs/jq/program.h"

namespace {

using penstock::jq::Program;
using penstock::jq::Result;

constexpr std::size_t kProgramsKept = 64;
constexpr std::size_t kInputBytesMax = 64U << 20;
constexpr int kMalformed = 2;

struct Settings {
  std::size_t output_bytes_max = 1U << 20;
  rlim_t cpu_seconds = 10;  // Of one request.
  rlim_t address_bytes = RLIM_INFINITY;
  pid_t parent = 0;
};

void WriteAll(std::string_view text) {
  while (!text.empty()) {
    const ssize_t count = ::write(STDOUT_FILENO, text.data(), text.size());
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) std::_Exit(0);  // Nobody reads any more.
    text.remove_prefix(static_cast<std::size_t>(count));
  }
}

// Called where an allocation failed: it makes none.
[[noreturn]] void EndWithoutMemory() {
  WriteAll("m\n");
  std::_Exit(1);
}

void Answer(char kind, std::string text) {
  text.insert(text.begin(), kind);
  text += '\n';
  WriteAll(text);
}

// The programs that were used last, compiled.
class Programs {
 public:
  // Null when it does not compile; `error` says why. `compiled` tells whether that took place now.
  Program* Get(const std::string& text, std::string* error, bool* compiled) {
    *compiled = false;
    if (const auto found = by_text_.find(text); found != by_text_.end()) {
      recent_.splice(recent_.begin(), recent_, found->second);
      return recent_.front().second.get();
    }
    auto program = Program::Compile(text, error);
    if (program == nullptr) return nullptr;
    *compiled = true;
    if (recent_.size() >= kProgramsKept) {
      by_text_.erase(recent_.back().first);
      recent_.pop_back();
    }
    recent_.emplace_front(text, std::move(program));
    by_text_.emplace(recent_.front().first, recent_.begin());
    return recent_.front().second.get();
  }

 private:
  using Kept = std::list<std::pair<std::string, std::unique_ptr<Program>>>;

  Kept recent_;  // The last used one first.
  std::unordered_map<std::string_view, Kept::iterator> by_text_;
};

// False at the end of the input.
bool ReadSizes(std::size_t* program, std::size_t* input) {
  const int count = std::scanf("%zu %zu", program, input);
  if (count == EOF) return false;
  if (count != 2 || std::getchar() != '\n' ||
      *program > penstock::jq::kProgramBytesMax + penstock::jq::kWrapBytesMax ||
      *input > kInputBytesMax) {
    std::fputs("penstock-jq: malformed request\n", stderr);
    std::exit(kMalformed);
  }
  return true;
}

bool ReadBytes(std::size_t size, std::string* bytes) {
  bytes->resize(size);
  return std::fread(bytes->data(), 1, size, stdin) == size;
}

void LimitCpu(rlim_t seconds) {
  rusage used{};
  ::getrusage(RUSAGE_SELF, &used);
  const auto now = static_cast<rlim_t>(used.ru_utime.tv_sec + used.ru_stime.tv_sec + 1);
  const rlimit limit{.rlim_cur = now + seconds, .rlim_max = RLIM_INFINITY};
  ::setrlimit(RLIMIT_CPU, &limit);
}

void Serve(const Settings& settings) {
  Programs programs;
  std::size_t program_size = 0;
  std::size_t input_size = 0;
  std::string text;
  std::string input;
  while (ReadSizes(&program_size, &input_size)) {
    if (!ReadBytes(program_size, &text) || !ReadBytes(input_size, &input)) return;
    LimitCpu(settings.cpu_seconds);
    std::string error;
    bool compiled = false;
    Program* const program = programs.Get(text, &error, &compiled);
    if (program == nullptr) {
      Answer('c', std::move(error));
      continue;
    }
    if (compiled) WriteAll(">\n");
    Result result = program->Run(input, settings.output_bytes_max);
    switch (result.kind) {
      case Result::Kind::kOutput: Answer('=', std::move(result.text)); break;
      case Result::Kind::kNotJson: Answer('j', std::move(result.text)); break;
      case Result::Kind::kFailed: Answer('e', std::move(result.text)); break;
      case Result::Kind::kOutputTooLarge: Answer('l', {}); break;
    }
  }
}

bool ReadOption(std::string_view argument, Settings* settings) {
  const std::size_t equals = argument.find('=');
  if (equals == std::string_view::npos) return false;
  char* end = nullptr;
  const unsigned long long number = std::strtoull(argument.data() + equals + 1, &end, 10);
  if (*end != '\0' || number == 0) return false;
  const std::string_view name = argument.substr(0, equals);
  if (name == "--output-bytes") {
    settings->output_bytes_max = number;
  } else if (name == "--cpu-seconds") {
    settings->cpu_seconds = number;
  } else if (name == "--address-bytes") {
    settings->address_bytes = number;
  } else if (name == "--parent") {
    settings->parent = static_cast<pid_t>(number);
  } else {
    return false;
  }
  return true;
}

void Limit(__rlimit_resource resource, rlim_t value) {
  // A hard limit that is lower already may not be raised, and need not be.
  rlimit limit{};
  if (::getrlimit(resource, &limit) == 0 && limit.rlim_max < value) value = limit.rlim_max;
  limit = {.rlim_cur = value, .rlim_max = value};
  if (::setrlimit(resource, &limit) == 0) return;
  std::perror("penstock-jq: cannot set a limit");
  std::exit(kMalformed);
}

// Before anything is read: nothing of this process outlives its parent, gains rights, or leaves its
// memory in a file.
void Confine(const Settings& settings) {
  if (::prctl(PR_SET_PDEATHSIG, SIGKILL) != 0 || ::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0) {
    std::perror("penstock-jq: cannot confine itself");
    std::exit(kMalformed);
  }
  // The parent may have died before.
  if (settings.parent != 0 && ::getppid() != settings.parent) std::exit(0);
  Limit(RLIMIT_CORE, 0);
  Limit(RLIMIT_FSIZE, 0);
  if (settings.address_bytes != RLIM_INFINITY) Limit(RLIMIT_AS, settings.address_bytes);
}

}  // namespace

int main(int argc, char** argv) {
  Settings settings;
  for (int i = 1; i < argc; ++i) {
    if (ReadOption(argv[i], &settings)) continue;
    std::fprintf(stderr, "penstock-jq: unknown or malformed argument '%s'\n", argv[i]);
    return kMalformed;
  }
  Confine(settings);
  // No home: libjq would read a file of definitions there.
  ::setenv("HOME", "/nonexistent", 1);
  penstock::jq::OnNoMemory(EndWithoutMemory);
  std::set_new_handler(EndWithoutMemory);
  Serve(settings);
  return 0;
}
