#include "tools/protoc-gen-penstock/doc_comment.h"

#include <algorithm>

namespace penstock::protoc_gen {
namespace {

constexpr std::string_view kSpaces = " \t\r";

std::string_view Trimmed(std::string_view text) {
  const std::size_t begin = text.find_first_not_of(kSpaces);
  if (begin == std::string_view::npos) return {};
  return text.substr(begin, text.find_last_not_of(kSpaces) - begin + 1);
}

std::string Unwrapped(std::string_view comment) {
  std::string out;
  bool ends_paragraph = false;
  while (!comment.empty()) {
    const std::size_t end = std::min(comment.find('\n'), comment.size());
    const std::string_view line = Trimmed(comment.substr(0, end));
    comment.remove_prefix(std::min(end + 1, comment.size()));
    if (line.empty()) {
      ends_paragraph = true;
      continue;
    }
    if (!out.empty()) out += ends_paragraph ? "\n\n" : " ";
    ends_paragraph = false;
    out += line;
  }
  return out;
}

std::vector<std::string_view> SplitPath(std::string_view path) {
  std::vector<std::string_view> segments;
  while (true) {
    const std::size_t slash = path.find('/');
    segments.push_back(path.substr(0, slash));
    if (slash == std::string_view::npos) return segments;
    path.remove_prefix(slash + 1);
  }
}

}  // namespace

template <typename Declaration>
std::string CommentOf(const Declaration& declaration) {
  google::protobuf::SourceLocation location;
  if (!declaration.GetSourceLocation(&location)) return {};
  return Unwrapped(location.leading_comments);
}

template std::string CommentOf(const google::protobuf::Descriptor&);
template std::string CommentOf(const google::protobuf::EnumDescriptor&);
template std::string CommentOf(const google::protobuf::EnumValueDescriptor&);
template std::string CommentOf(const google::protobuf::FieldDescriptor&);
template std::string CommentOf(const google::protobuf::MethodDescriptor&);
template std::string CommentOf(const google::protobuf::ServiceDescriptor&);

std::vector<std::string> Sentences(std::string_view text) {
  std::vector<std::string> sentences;
  while (!text.empty()) {
    std::size_t end = 0;
    do {
      end = std::min(text.find('.', end), text.size() - 1) + 1;
    } while (end < text.size() && text[end] != ' ' && text[end] != '\n');
    sentences.emplace_back(text.substr(0, end));
    text.remove_prefix(std::min(text.find_first_not_of(" \n", end), text.size()));
  }
  return sentences;
}

std::string Headline(std::string_view text) {
  const auto sentences = Sentences(text);
  if (sentences.empty()) return {};
  std::string headline = sentences.front();
  if (headline.ends_with('.')) headline.pop_back();
  return headline;
}

bool Says(std::string_view text, std::string_view sentence) {
  const auto sentences = Sentences(text);
  return std::find(sentences.begin(), sentences.end(), sentence) != sentences.end();
}

std::string ExampleIn(std::string_view text) {
  constexpr std::string_view kLead = "or example `";  // "for" and "For"
  const std::size_t lead = text.find(kLead);
  if (lead == std::string_view::npos) return {};
  text.remove_prefix(lead + kLead.size());
  return std::string(text.substr(0, text.find('`')));
}

std::vector<std::string> SegmentNames(std::string_view text,
                                      const std::vector<std::string>& literals) {
  for (std::size_t open = text.find('`'); open != std::string_view::npos;) {
    const std::size_t close = text.find('`', open + 1);
    if (close == std::string_view::npos) return {};
    const auto segments = SplitPath(text.substr(open + 1, close - open - 1));
    std::vector<std::string> names;
    for (std::size_t i = 0; i < segments.size() && segments.size() == literals.size(); ++i) {
      const std::string_view segment = segments[i];
      const bool is_name = segment.starts_with('{') && segment.ends_with('}');
      if (is_name != literals[i].empty() || (!is_name && segment != literals[i])) break;
      names.emplace_back(is_name ? segment.substr(1, segment.size() - 2) : std::string_view());
    }
    if (names.size() == literals.size()) return names;
    open = text.find('`', close + 1);
  }
  return {};
}

}  // namespace penstock::protoc_gen
