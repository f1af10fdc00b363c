#include "libs/jq/program.h"

#include <climits>
#include <optional>
#include <utility>
#include <vector>

#include "libs/jq/refused_names.h"

extern "C" {
#include <jq.h>
}

namespace penstock::jq {
namespace {

// Goes before each program: what it imports must come first, so that nothing can be imported, and
// $ENV is bound before it could mean the environment. On the program's first line, so that lines
// count as they stand.
constexpr std::string_view kPrefix = "{}as$ENV|";
constexpr std::size_t kMessageBytesMax = 1024;

void (*no_memory_handler)() = nullptr;

void CallNoMemoryHandler(void* /*data*/) { no_memory_handler(); }

void Remove(std::string_view piece, std::string* text) {
  const std::size_t found = text->find(piece);
  if (found != std::string::npos) text->erase(found, piece.size());
}

// Cut to a limit, between characters, in one line.
std::string Tidy(std::string text) {
  if (text.size() > kMessageBytesMax) {
    std::size_t size = kMessageBytesMax;
    while (size > 0 && (static_cast<unsigned char>(text[size]) & 0xC0) == 0x80) --size;
    text.resize(size);
    text += "...";
  }
  for (char& c : text) {
    if (static_cast<unsigned char>(c) < 0x20 || c == 0x7F) c = ' ';
  }
  while (!text.empty() && text.back() == ' ') text.pop_back();
  return text;
}

// A value that is owned.
class Value {
 public:
  explicit Value(jv value) : value_(value) {}
  ~Value() { jv_free(value_); }
  Value(const Value&) = delete;
  Value& operator=(const Value&) = delete;

  bool valid() const { return jv_is_valid(value_) != 0; }
  jv Copy() const { return jv_copy(value_); }
  jv Release() { return std::exchange(value_, jv_invalid()); }

  // What an invalid value says, if anything.
  std::optional<std::string> Error() const {
    const Value message(jv_invalid_get_msg(Copy()));
    switch (jv_get_kind(message.value_)) {
      case JV_KIND_INVALID:
      case JV_KIND_NULL: return std::nullopt;
      case JV_KIND_STRING: return message.Text();
      default: return Value(jv_dump_string(message.Copy(), 0)).Text();
    }
  }

  // Of a string.
  std::string Text() const {
    return {jv_string_value(value_), static_cast<std::size_t>(jv_string_length_bytes(Copy()))};
  }

 private:
  jv value_;
};

// Keeps what the compiler says.
void KeepMessage(void* messages, jv message) {
  const Value text(jq_format_error(message));
  static_cast<std::vector<std::string>*>(messages)->push_back(text.Text());
}

// The compiler's first message without what speaks of the command line.
std::string ReadableError(const std::vector<std::string>& messages) {
  if (messages.empty()) return "the program does not compile";
  std::string text = messages.front();
  for (const std::string_view noise :
       {std::string_view("jq: error: "), std::string_view(" (Unix shell quoting issues?)"),
        std::string_view(" at <top-level>"), kPrefix}) {
    Remove(noise, &text);
  }
  return Tidy(std::move(text));
}

// The only value in `text`.
jv Parse(std::string_view text) {
  if (text.size() > INT_MAX) return jv_invalid_with_msg(jv_string("it is too large"));
  jv_parser* const parser = jv_parser_new(0);
  jv_parser_set_buf(parser, text.data(), static_cast<int>(text.size()), 0);
  Value value(jv_parser_next(parser));
  jv result = jv_invalid();
  if (value.valid()) {
    const Value next(jv_parser_next(parser));
    if (next.valid()) {
      result = jv_invalid_with_msg(jv_string("it holds more than one value"));
    } else if (next.Error()) {
      result = next.Copy();
    } else {
      result = value.Release();
    }
  } else if (value.Error()) {
    result = value.Release();
  } else {
    result = jv_invalid_with_msg(jv_string("it is empty"));
  }
  jv_parser_free(parser);
  return result;
}

Result Failed(std::string why) { return {Result::Kind::kFailed, Tidy(std::move(why))}; }

// Takes the program's values one by one.
Result TakeOutput(jq_state* state, std::size_t output_bytes_max) {
  const Value first(jq_next(state));
  if (!first.valid()) {
    const auto error = first.Error();
    if (error) return Failed(*error);
    return Failed(jv_invalid_has_msg(first.Copy()) != 0
                      ? "the program raised null"
                      : "the program gave no value: expected exactly one");
  }
  const Value second(jq_next(state));
  if (second.valid()) return Failed("the program gave more than one value: expected exactly one");
  if (jv_invalid_has_msg(second.Copy()) != 0) {
    return Failed(second.Error().value_or("the program raised null"));
  }
  std::string text = Value(jv_dump_string(first.Copy(), 0)).Text();
  if (text.size() > output_bytes_max) return {Result::Kind::kOutputTooLarge, {}};
  return {Result::Kind::kOutput, std::move(text)};
}

}  // namespace

void OnNoMemory(void (*handler)()) {
  no_memory_handler = handler;
  // For values that are made before a program is.
  jv_nomem_handler(CallNoMemoryHandler, nullptr);
}

std::string FindProblem(std::string_view program, std::size_t bytes_max) {
  if (program.find_first_not_of(" \t\r\n") == std::string_view::npos) {
    return "must not be empty: expected a jq program";
  }
  if (program.size() > bytes_max) {
    return "is longer than " + std::to_string(bytes_max) + " bytes";
  }
  if (program.find('\0') != std::string_view::npos) return "holds a NUL character";
  if (const auto refused = FindRefusedName(program)) {
    return refused->name + " is refused: " + refused->reason + ", line " +
           std::to_string(refused->line);
  }
  return {};
}

std::unique_ptr<Program> Program::Compile(std::string_view text, std::string* error) {
  *error = FindProblem(text, kProgramBytesMax + kWrapBytesMax);
  if (!error->empty()) return nullptr;
  jq_state* const state = jq_init();
  if (state == nullptr) {
    *error = "out of memory";
    return nullptr;
  }
  auto program = std::unique_ptr<Program>(new Program(state));
  if (no_memory_handler != nullptr) jq_set_nomem_handler(state, CallNoMemoryHandler, nullptr);
  std::vector<std::string> messages;
  jq_set_error_cb(state, &KeepMessage, &messages);
  const bool is_compiled =
      jq_compile(state, (std::string(kPrefix) + std::string(text)).c_str()) != 0;
  // Errors of running come as values; this one would print them.
  jq_set_error_cb(
      state, [](void*, jv message) { jv_free(message); }, nullptr);
  if (is_compiled) return program;
  *error = ReadableError(messages);
  return nullptr;
}

Program::~Program() { jq_teardown(&state_); }

Result Program::Run(std::string_view input, std::size_t output_bytes_max) {
  Value value(Parse(input));
  if (!value.valid()) return {Result::Kind::kNotJson, Tidy(value.Error().value_or("it is empty"))};
  jq_start(state_, value.Release(), 0);
  Result result = TakeOutput(state_, output_bytes_max);
  // Lets go of what the last run still holds.
  jq_start(state_, jv_null(), 0);
  return result;
}

}  // namespace penstock::jq
