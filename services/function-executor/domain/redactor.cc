#include "services/function-executor/domain/redactor.h"

#include <fmt/format.h>

#include <algorithm>
#include <memory>

namespace penstock::executor {
namespace {

// As a JSON writer may escape it, without the quotes; both ways for characters beyond ASCII are
// not tried: the plain one is the usual.
std::string EscapedAsJson(std::string_view text) {
  std::string escaped;
  for (const char c : text) {
    switch (c) {
      case '"': escaped += "\\\""; break;
      case '\\': escaped += "\\\\"; break;
      case '\n': escaped += "\\n"; break;
      case '\r': escaped += "\\r"; break;
      case '\t': escaped += "\\t"; break;
      default:
        if (static_cast<unsigned char>(c) < 0x20) {
          escaped += fmt::format("\\u{:04x}", static_cast<unsigned char>(c));
        } else {
          escaped += c;
        }
    }
  }
  return escaped;
}

}  // namespace

Redactor::Redactor(const Secrets* secrets, const SecretValues* signing) {
  if (secrets != nullptr) {
    for (const auto& [id, values] : *secrets) {
      for (const auto& [key, value] : values) Add(value, fmt::format("[secret {}.{}]", id, key));
    }
  }
  if (signing != nullptr) {
    for (const auto& [key, value] : *signing) Add(value, fmt::format("[signing secret {}]", key));
  }
  std::stable_sort(words_.begin(), words_.end(),
                   [](const Word& a, const Word& b) { return a.text.size() > b.text.size(); });
}

void Redactor::Add(const std::string& value, const std::string& instead) {
  if (value.size() < kValueBytesMin) return;
  const auto add = [&](std::string text) {
    if (text.size() >= kValueBytesMin) words_.push_back({std::move(text), instead});
  };
  std::string escaped = EscapedAsJson(value);
  if (escaped != value) add(std::move(escaped));
  add(value);
  // Logs come line by line.
  for (std::string_view rest = value; rest.find('\n') != std::string_view::npos;) {
    const std::size_t end = rest.find('\n');
    add(std::string(rest.substr(0, end)));
    rest.remove_prefix(end + 1);
    if (rest.find('\n') == std::string_view::npos) add(std::string(rest));
  }
}

bool Redactor::IsIn(std::string_view text) const {
  return std::any_of(words_.begin(), words_.end(), [text](const Word& word) {
    return text.find(word.text) != std::string_view::npos;
  });
}

std::string Redactor::Clean(std::string_view text) const {
  std::string clean(text);
  for (const Word& word : words_) {
    for (std::size_t at = clean.find(word.text); at != std::string::npos;
         at = clean.find(word.text, at + word.instead.size())) {
      clean.replace(at, word.text.size(), word.instead);
    }
  }
  return clean;
}

void Redactor::CleanWords(Outcome* outcome) const {
  const auto clean = [this](std::string& text) {
    if (IsIn(text)) text = Clean(text);
  };
  for (std::string& line : outcome->logs.out) clean(line);
  for (std::string& line : outcome->logs.err) clean(line);
  for (FunctionMetric& metric : outcome->metrics) {
    for (auto& [label, value] : metric.labels) clean(value);
  }
  if (!outcome->error) return;
  clean(outcome->error->type);
  clean(outcome->error->message);
  for (std::string& line : outcome->error->stacktrace) clean(line);
}

Outcome Redactor::ForRecord(const Outcome& outcome) const {
  Outcome copy = outcome;
  if (copy.payload != nullptr && IsIn(*copy.payload)) {
    copy.payload = std::make_shared<const std::string>(Clean(*copy.payload));
  }
  return copy;
}

}  // namespace penstock::executor
