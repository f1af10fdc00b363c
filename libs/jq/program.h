// A compiled jq program.
#pragma once

#include <cstddef>
#include <memory>
#include <string>
#include <string_view>

struct jq_state;

namespace penstock::jq {

// Of a program that a user gives. What is put around it may take kWrapBytesMax more.
inline constexpr std::size_t kProgramBytesMax = 16U << 10;
inline constexpr std::size_t kWrapBytesMax = 1U << 10;

// Why `program` cannot be used, as far as that shows without compiling it: it is empty, too long,
// or names what it may not (refused_names.h). Empty when nothing is wrong.
std::string FindProblem(std::string_view program, std::size_t bytes_max = kProgramBytesMax);

// Has `handler` called, which must end the process, where libjq gets no memory; else it aborts. For
// programs that are compiled after this.
void OnNoMemory(void (*handler)());

// What a program made of an input.
struct Result {
  enum class Kind {
    kOutput,         // `text` is the one value that came out, as JSON in one line.
    kNotJson,        // The input is not one JSON value; `text` says why.
    kFailed,         // The program raised an error, or gave no value or several; `text` says which.
    kOutputTooLarge  // The value is larger than asked for.
  };
  Kind kind = Kind::kFailed;
  std::string text;
};

// libjq has no limits of time, memory or stack, neither when it compiles nor when it runs, and some
// arithmetic ends the process ("(0 - 9223372036854775808) % (0 - 1)"): only for processes that may
// die. Not thread-safe.
class Program {
 public:
  // Null when it cannot be used; `error` then says why in one line, with the line of the program.
  // It may have kWrapBytesMax more than a user's.
  static std::unique_ptr<Program> Compile(std::string_view text, std::string* error);

  ~Program();
  Program(const Program&) = delete;
  Program& operator=(const Program&) = delete;

  // Runs until there is a result, however long and with however much memory. Numbers are doubles,
  // keys keep their order, and values may be nested 256 deep.
  Result Run(std::string_view input, std::size_t output_bytes_max);

 private:
  explicit Program(jq_state* state) : state_(state) {}

  jq_state* state_;
};

}  // namespace penstock::jq
