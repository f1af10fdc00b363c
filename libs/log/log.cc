#include "libs/log/log.h"

#include <unistd.h>

#include <array>
#include <memory>
#include <mutex>
#include <utility>

#include "fmt/format.h"
#include "libs/base/status.h"
#include "libs/log/line.h"
#include "spdlog/logger.h"
#include "spdlog/pattern_formatter.h"
#include "spdlog/sinks/base_sink.h"
#include "spdlog/sinks/stdout_sinks.h"

namespace penstock::log {
namespace {

constexpr std::array<std::string_view, 5> kLevelNames = {"debug", "info", "warn", "error", "off"};

// Hands lines to a function. The base class calls it under its lock.
class FunctionSink final : public spdlog::sinks::base_sink<std::mutex> {
 public:
  explicit FunctionSink(std::function<void(std::string_view)> write) : write_(std::move(write)) {}

 private:
  void sink_it_(const spdlog::details::log_msg& message) override {
    write_(std::string_view(message.payload.data(), message.payload.size()));
  }
  void flush_() override {}

  std::function<void(std::string_view)> write_;
};

// What Configure sets. Lines in the making keep the one they began with.
struct State {
  bool json = false;
  std::string service;
  std::unique_ptr<spdlog::logger> logger;
};

std::shared_ptr<const State> MakeState(Options options) {
  auto state = std::make_shared<State>();
  const bool is_terminal = isatty(STDERR_FILENO) == 1;
  state->json =
      options.format == Format::kJson || (options.format == Format::kAuto && !is_terminal);
  state->service = std::move(options.service);
  spdlog::sink_ptr sink;
  if (options.sink) {
    sink = std::make_shared<FunctionSink>(std::move(options.sink));
  } else {
    sink = std::make_shared<spdlog::sinks::stderr_sink_mt>();
  }
  // The line is complete when spdlog gets it, and the level was checked.
  sink->set_formatter(std::make_unique<spdlog::pattern_formatter>("%v"));
  state->logger = std::make_unique<spdlog::logger>("penstock", std::move(sink));
  state->logger->set_level(spdlog::level::trace);
  // A full disk or a closed pipe must not end the process, nor print where nobody reads.
  state->logger->set_error_handler([](const std::string&) {});
  return state;
}

// Never destroyed: threads may still log while the process exits.
struct Holder {
  std::mutex mutex;
  std::shared_ptr<const State> state = MakeState({});
};
Holder& TheHolder() {
  static Holder* const holder = new Holder;
  return *holder;
}

std::shared_ptr<const State> CurrentState() {
  Holder& holder = TheHolder();
  const std::lock_guard lock(holder.mutex);
  return holder.state;
}

spdlog::level::level_enum ToSpdlog(Level level) {
  switch (level) {
    case Level::kDebug: return spdlog::level::debug;
    case Level::kInfo: return spdlog::level::info;
    case Level::kWarn: return spdlog::level::warn;
    case Level::kError:
    case Level::kOff: break;
  }
  return spdlog::level::err;
}

}  // namespace

namespace internal {

std::atomic<int> level{static_cast<int>(Level::kInfo)};

void Write(Level line_level, std::string_view message, Fields fields, std::uint64_t suppressed) {
  if (line_level == Level::kOff) return;
  const std::shared_ptr<const State> state = CurrentState();
  const Line line{.time = SystemClock().Wall(),
                  .level = line_level,
                  .service = state->service,
                  .message = message,
                  .fields = fields,
                  .suppressed = suppressed};
  const std::string text = state->json ? FormatJson(line) : FormatText(line);
  state->logger->log(ToSpdlog(line_level), spdlog::string_view_t(text.data(), text.size()));
}

}  // namespace internal

void Configure(Options options) {
  const Level level = options.level;
  std::shared_ptr<const State> state = MakeState(std::move(options));
  Holder& holder = TheHolder();
  {
    const std::lock_guard lock(holder.mutex);
    holder.state.swap(state);
  }
  SetLevel(level);
}

void SetLevel(Level level) {
  internal::level.store(static_cast<int>(level), std::memory_order_relaxed);
}

Level GetLevel() { return static_cast<Level>(internal::level.load(std::memory_order_relaxed)); }

std::string_view LevelName(Level level) { return kLevelNames[static_cast<std::size_t>(level)]; }

absl::StatusOr<Level> ParseLevel(std::string_view name) {
  for (std::size_t i = 0; i < kLevelNames.size(); ++i) {
    if (kLevelNames[i] == name) return static_cast<Level>(i);
  }
  return absl::InvalidArgumentError(
      fmt::format("expected debug, info, warn, error or off, not \"{}\"", name));
}

void Flush() { CurrentState()->logger->flush(); }

}  // namespace penstock::log
