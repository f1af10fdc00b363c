#include "services/function-manager/domain/check_middleware.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <boost/json.hpp>
#include <charconv>
#include <cstdint>
#include <limits>
#include <utility>

#include "services/function-manager/domain/text.h"

namespace penstock::functions {
namespace {

namespace json = boost::json;

constexpr std::size_t kStepsMax = 16;
constexpr std::size_t kStepsBytesMax = 64 << 10;
constexpr std::size_t kPointerBytesMax = 1024;
constexpr std::size_t kHeaderNameMax = 128;
constexpr std::size_t kProgramBytesMax = 16 << 10;
constexpr std::size_t kTargetMax = 1024;
constexpr double kMilli = 0.001;
constexpr double kMinute = 60;
constexpr double kHour = 3600;

// The settings of one step, each checked where it is read. A member that is not there has its
// default, which is always in range.
class StepCheck {
 public:
  StepCheck(std::string path, const json::object& settings, std::vector<FieldViolation>* violations)
      : path_(std::move(path)), settings_(settings), violations_(violations) {}

  // `name` is as in the contract; the JSON form has it in lowerCamelCase.
  const json::value* Find(std::string_view name) const {
    std::string camel;
    for (std::size_t i = 0; i < name.size(); ++i) {
      const bool is_next = name[i] == '_' && i + 1 < name.size();
      camel += is_next ? static_cast<char>(name[++i] - 'a' + 'A') : name[i];
    }
    return settings_.if_contains(camel);
  }
  bool Has(std::string_view name) const { return Find(name) != nullptr; }

  void Fail(std::string_view name, std::string description) {
    violations_->push_back(
        {name.empty() ? path_ : fmt::format("{}.{}", path_, name), std::move(description)});
  }

  void Require(std::string_view name, std::string_view expected) {
    if (!Has(name)) Fail(name, fmt::format("is required: expected {}", expected));
  }

  // In seconds.
  void Duration(std::string_view name, double least, double most, std::string_view range) {
    const json::value* const value = Find(name);
    if (value == nullptr) return;
    double seconds = -1;
    if (value->is_string()) {
      const json::string& text = value->as_string();
      std::from_chars(text.data(), text.data() + text.size(), seconds);
    }
    if (seconds < least || seconds > most) Fail(name, fmt::format("expected {}", range));
  }

  void Number(std::string_view name, double least, double most) {
    const json::value* const value = Find(name);
    if (value == nullptr) return;
    double number = std::numeric_limits<double>::quiet_NaN();
    if (value->is_double()) number = value->as_double();
    if (value->is_int64()) number = static_cast<double>(value->as_int64());
    if (!(number >= least && number <= most)) {
      Fail(name, fmt::format("is {}: expected {:g} to {:g}", json::serialize(*value), least, most));
    }
  }

  // As the proto type, 0 is what was not set.
  void Integer(std::string_view name, std::int64_t least, std::int64_t most) {
    const json::value* const value = Find(name);
    if (value == nullptr) return;
    const std::int64_t number = value->is_int64() ? value->as_int64() : 0;
    if (number < least || number > most) {
      Fail(name, fmt::format("is {}: expected {} to {}", number, least, most));
    }
  }

  // Gives each element to `check`, which answers what is wrong with it, or nothing.
  template <typename Check>
  void List(std::string_view name, std::size_t count_max, const Check& check) {
    const json::value* const value = Find(name);
    if (value == nullptr || !value->is_array()) return;
    const json::array& list = value->as_array();
    if (list.size() > count_max) {
      return Fail(name, fmt::format("has {} entries: expected at most {}", list.size(), count_max));
    }
    for (std::size_t i = 0; i < list.size(); ++i) {
      std::string problem = check(list[i]);
      if (!problem.empty()) Fail(fmt::format("{}[{}]", name, i), std::move(problem));
    }
  }

  // Empty when it is not there.
  std::string_view Text(std::string_view name) const {
    const json::value* const value = Find(name);
    if (value == nullptr || !value->is_string()) return {};
    return {value->as_string().data(), value->as_string().size()};
  }

 private:
  const std::string path_;
  const json::object& settings_;
  std::vector<FieldViolation>* const violations_;
};

std::string_view TextOf(const json::value& value) {
  return value.is_string() ? std::string_view(value.as_string().data(), value.as_string().size())
                           : std::string_view();
}

std::string PointerProblem(std::string_view text) {
  if (text.size() > kPointerBytesMax) {
    return fmt::format("has {} bytes: expected at most {}", text.size(), kPointerBytesMax);
  }
  bool is_pointer = text.empty() || text.front() == '/';
  for (std::size_t at = text.find('~'); at != std::string_view::npos; at = text.find('~', at + 1)) {
    is_pointer = is_pointer && at + 1 < text.size() && (text[at + 1] == '0' || text[at + 1] == '1');
  }
  if (is_pointer) return {};
  return fmt::format("{} is not a JSON Pointer: expected one such as \"/user/id\"", Quoted(text));
}

std::string PointerProblemOf(const json::value& value) { return PointerProblem(TextOf(value)); }

std::string CategoryProblem(const json::value& value) {
  const std::string_view text = TextOf(value);
  if (text == "InputError" || text == "FunctionError" || text == "SystemError") return {};
  return fmt::format("{} is no category: expected InputError, FunctionError or SystemError",
                     Quoted(text));
}

void CheckTimeout(StepCheck& step) {
  step.Require("timeout", "1ms to 15m");
  step.Duration("timeout", kMilli, 15 * kMinute, "1ms to 15m");
}

void CheckRetry(StepCheck& step) {
  step.Integer("max_attempts", 2, 10);
  step.Duration("initial_backoff", kMilli, kMinute, "1ms to 1m");
  step.Duration("max_backoff", kMilli, 5 * kMinute, "1ms to 5m");
  step.List("categories", 3, CategoryProblem);
  step.List("http_statuses", 32, [](const json::value& value) -> std::string {
    const std::int64_t status = value.is_int64() ? value.as_int64() : 0;
    if (status >= 400 && status <= 599) return {};
    return fmt::format("is {}: expected 400 to 599", status);
  });
}

void CheckRateLimit(StepCheck& step) {
  step.Require("rate", "calls a second, 0.001 to 1000000");
  step.Number("rate", kMilli, 1'000'000);
  step.Integer("burst", 1, 1'000'000);
  if (step.Has("header") &&
      (step.Text("header").size() > kHeaderNameMax || !IsHttpToken(step.Text("header")))) {
    step.Fail("header", fmt::format("{} is not the name of a header", Quoted(step.Text("header"))));
  }
  if (std::string problem = PointerProblem(step.Text("pointer")); !problem.empty()) {
    step.Fail("pointer", std::move(problem));
  }
}

void CheckBreaker(StepCheck& step) {
  step.Integer("failures", 1, 1000);
  step.Duration("open_for", 10 * kMilli, kHour, "10ms to 1h");
  step.List("categories", 3, CategoryProblem);
}

void CheckCache(StepCheck& step) {
  step.List("key_pointers", 16, PointerProblemOf);
  step.Duration("ttl", 10 * kMilli, 24 * kHour, "10ms to 24h");
  step.Integer("max_entries", 1, 100'000);
}

void CheckIdempotency(StepCheck& step) {
  step.Duration("ttl", 1, 24 * kHour, "1s to 24h");
  step.Integer("max_keys", 1, 100'000);
}

void CheckLog(StepCheck& step) {
  step.List("redact", 64, PointerProblemOf);
  // A value without a name is one of a newer contract.
  const json::value* const bodies = step.Find("bodies");
  if (bodies != nullptr && !bodies->is_string()) {
    step.Fail("bodies", "is unknown: expected ALL, FAILURES or NONE");
  }
}

void CheckTransform(StepCheck& step) {
  if (step.Text("before").empty() && step.Text("after").empty()) {
    step.Fail("", "has no program: expected before, after or both");
  }
  for (const std::string_view name : {"before", "after"}) {
    const std::string_view program = step.Text(name);
    if (program.size() > kProgramBytesMax) {
      step.Fail(name, fmt::format("has {} bytes: expected at most {} (16 KiB)", program.size(),
                                  kProgramBytesMax));
    } else if (program.find('\0') != std::string_view::npos) {
      step.Fail(name, "holds a zero byte, which no program can");
    }
  }
}

// `host:port`, the host perhaps in brackets, with a scheme or without.
bool IsTarget(std::string_view target) {
  for (const std::string_view scheme : {"dns:///", "http://", "https://"}) {
    if (!target.starts_with(scheme)) continue;
    target.remove_prefix(scheme.size());
    break;
  }
  const std::size_t colon = target.rfind(':');
  if (colon == std::string_view::npos || colon == 0) return false;
  const std::string_view host = target.substr(0, colon);
  const std::string_view port = target.substr(colon + 1);
  int number = 0;
  const auto [end, error] = std::from_chars(port.data(), port.data() + port.size(), number);
  return error == std::errc() && end == port.data() + port.size() && number >= 1 &&
         number <= 65'535 && host.find('/') == std::string_view::npos &&
         std::none_of(host.begin(), host.end(),
                      [](char c) { return static_cast<unsigned char>(c) <= 0x20; });
}

void CheckGrpc(StepCheck& step) {
  const std::string_view target = step.Text("target");
  if (target.empty()) {
    step.Fail("target", "is required: expected host:port, or https://host:port for TLS");
  } else if (target.size() > kTargetMax || !IsTarget(target)) {
    step.Fail("target", fmt::format("{} is no target: expected host:port, or https://host:port for "
                                    "TLS, at most {} characters",
                                    Quoted(target), kTargetMax));
  }
  step.Duration("timeout", kMilli, kMinute, "1ms to 1m");
}

struct Kind {
  std::string_view name;
  std::string_view json_name;
  void (*check)(StepCheck&);
};
constexpr std::array<Kind, 9> kKinds = {{
    {"timeout", "timeout", CheckTimeout},
    {"retry", "retry", CheckRetry},
    {"rate_limit", "rateLimit", CheckRateLimit},
    {"breaker", "breaker", CheckBreaker},
    {"cache", "cache", CheckCache},
    {"idempotency", "idempotency", CheckIdempotency},
    {"log", "log", CheckLog},
    {"transform", "transform", CheckTransform},
    {"grpc", "grpc", CheckGrpc},
}};

void CheckStep(const std::string& path, const json::value& step,
               std::vector<FieldViolation>& violations) {
  for (const Kind& kind : kKinds) {
    const json::value* const settings =
        step.is_object()
            ? step.as_object().if_contains({kind.json_name.data(), kind.json_name.size()})
            : nullptr;
    if (settings == nullptr || !settings->is_object()) continue;
    StepCheck check(fmt::format("{}.{}", path, kind.name), settings->as_object(), &violations);
    return kind.check(check);
  }
  std::string names;
  for (const Kind& kind : kKinds)
    names += fmt::format("{}{}", names.empty() ? "" : ", ", kind.name);
  violations.push_back(
      {path, fmt::format("exactly one kind is required: expected one of {}", names)});
}

}  // namespace

void CheckMiddleware(std::string_view field, const std::string& steps,
                     std::vector<FieldViolation>& violations) {
  if (steps.empty()) return;
  const auto fail = [&](std::string description) {
    violations.push_back({std::string(field), std::move(description)});
  };
  if (steps.size() > kStepsBytesMax) {
    return fail(fmt::format("takes {} bytes as JSON: expected at most {} (64 KiB)", steps.size(),
                            kStepsBytesMax));
  }
  json::error_code error;
  const json::value value = json::parse(steps, error);
  if (error || !value.is_array()) return fail("has values that JSON cannot hold");
  const json::array& list = value.as_array();
  if (list.size() > kStepsMax) {
    return fail(fmt::format("has {} steps: expected at most {}", list.size(), kStepsMax));
  }
  for (std::size_t i = 0; i < list.size(); ++i) {
    CheckStep(fmt::format("{}[{}]", field, i), list[i], violations);
  }
}

}  // namespace penstock::functions
