#include "libs/jq/refused_names.h"

#include <algorithm>
#include <array>
#include <cstddef>
#include <utility>

namespace penstock::jq {
namespace {

struct Refusal {
  std::string_view name;
  std::string_view reason;
};

constexpr std::string_view kNoEnvironment = "the environment is not available";
constexpr std::string_view kNoModules = "modules are not available";
constexpr std::string_view kNoInputs = "the payload is the only input";
constexpr std::string_view kNoOutput = "the result is the only output";
constexpr std::string_view kNoEnd = "a program ends with its result or with error()";

constexpr std::array kRefused = {
    Refusal{"env", kNoEnvironment},
    Refusal{"import", kNoModules},
    Refusal{"include", kNoModules},
    Refusal{"module", kNoModules},
    Refusal{"modulemeta", kNoModules},
    Refusal{"get_search_list", kNoModules},
    Refusal{"get_jq_origin", kNoModules},
    Refusal{"get_prog_origin", kNoModules},
    Refusal{"input", kNoInputs},
    Refusal{"inputs", kNoInputs},
    Refusal{"input_filename", kNoInputs},
    Refusal{"input_line_number", kNoInputs},
    Refusal{"debug", kNoOutput},
    Refusal{"stderr", kNoOutput},
    Refusal{"halt", kNoEnd},
    Refusal{"halt_error", kNoEnd},
};

// Not by <cctype>, which goes by the locale.
bool IsLetter(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_'; }
bool IsDigit(char c) { return c >= '0' && c <= '9'; }
bool IsSpace(char c) { return c == ' ' || c == '\t' || c == '\n' || c == '\r'; }

// Walks over a program's tokens as jq's own lexer cuts them, with strings and what is interpolated
// in them.
class Scanner {
 public:
  explicit Scanner(std::string_view program) : text_(program) {}

  std::optional<RefusedName> Run() {
    while (at_ < text_.size()) {
      if (InString()) {
        SkipText();
      } else if (auto found = ReadToken()) {
        return found;
      }
    }
    return std::nullopt;
  }

 private:
  // What is open: '(', '[', '{', a string ('"'), or an interpolation in a string ('\\').
  bool InString() const { return !open_.empty() && open_.back() == '"'; }

  // Moves to the end of the string's text, or to the interpolation in it.
  void SkipText() {
    const char c = Take();
    if (c == '"') {
      open_.pop_back();
      previous_ = '"';
    } else if (c == '\\' && Take() == '(') {
      open_ += '\\';
      previous_ = '(';
    }
  }

  std::optional<RefusedName> ReadToken() {
    const std::size_t begin = at_;
    const char c = Take();
    if (IsSpace(c)) return std::nullopt;
    if (c == '#') {
      while (at_ < text_.size() && text_[at_] != '\n') Take();
      return std::nullopt;
    }
    if (IsLetter(c)) {
      SkipWord();
      auto found = Judge(text_.substr(begin, at_ - begin));
      previous_ = 'a';
      return found;
    }
    // A field, a format, or a number with its point: no names of functions.
    if (c == '.' || c == '@') SkipWord();
    if (c == '"' || c == '(' || c == '[' || c == '{') open_ += c;
    if ((c == ')' || c == ']' || c == '}') && !open_.empty()) open_.pop_back();
    previous_ = c;
    return std::nullopt;
  }

  std::optional<RefusedName> Judge(std::string_view name) const {
    const bool is_variable = previous_ == '$';
    if (is_variable) {
      if (name != "ENV") return std::nullopt;
      return RefusedName{"$ENV", std::string(kNoEnvironment), line_};
    }
    const bool is_key =
        !open_.empty() && open_.back() == '{' && (previous_ == '{' || previous_ == ',');
    if (is_key) return std::nullopt;
    const auto* const refused = std::find_if(kRefused.begin(), kRefused.end(),
                                             [&](const Refusal& one) { return one.name == name; });
    if (refused == kRefused.end()) return std::nullopt;
    return RefusedName{std::string(name), std::string(refused->reason), line_};
  }

  void SkipWord() {
    while (at_ < text_.size() && (IsLetter(text_[at_]) || IsDigit(text_[at_]))) Take();
  }

  char Take() {
    if (at_ >= text_.size()) return '\0';
    if (text_[at_] == '\n') ++line_;
    return text_[at_++];
  }

  const std::string_view text_;
  std::size_t at_ = 0;
  int line_ = 1;
  std::string open_;
  char previous_ = ' ';  // The token before: its only or first character, 'a' for a name.
};

}  // namespace

std::optional<RefusedName> FindRefusedName(std::string_view program) {
  return Scanner(program).Run();
}

}  // namespace penstock::jq
