#include <array>
#include <string_view>

#include "libs/cloudevents/validate.h"

namespace penstock::cloudevents {
namespace {

// What may stand in a URI at all (RFC 3986, 2.2 and 2.3); the percent sign has a rule of its own.
constexpr std::array<bool, 256> MakeUriTable() {
  std::array<bool, 256> table{};
  for (unsigned char c = 'a'; c <= 'z'; ++c) table[c] = true;
  for (unsigned char c = 'A'; c <= 'Z'; ++c) table[c] = true;
  for (unsigned char c = '0'; c <= '9'; ++c) table[c] = true;
  for (const char c : std::string_view("-._~:/?#[]@!$&'()*+,;=")) {
    table[static_cast<unsigned char>(c)] = true;
  }
  return table;
}
constexpr std::array<bool, 256> kUriCharacter = MakeUriTable();

bool IsAlpha(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); }
bool IsDigit(char c) { return c >= '0' && c <= '9'; }
bool IsHex(char c) { return IsDigit(c) || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F'); }

bool HasOnlyUriCharacters(std::string_view text) {
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '%') {
      if (i + 2 >= text.size() || !IsHex(text[i + 1]) || !IsHex(text[i + 2])) return false;
      i += 2;
    } else if (!kUriCharacter[static_cast<unsigned char>(text[i])]) {
      return false;
    }
  }
  return true;
}

// The length of the scheme, or npos when the text does not begin with one.
std::size_t SchemeLength(std::string_view text) {
  if (text.empty() || !IsAlpha(text[0])) return std::string_view::npos;
  for (std::size_t i = 1; i < text.size(); ++i) {
    if (text[i] == ':') return i;
    if (!IsAlpha(text[i]) && !IsDigit(text[i]) && text[i] != '+' && text[i] != '-' &&
        text[i] != '.') {
      break;
    }
  }
  return std::string_view::npos;
}

// The part after the scheme: authority, path, query and fragment.
bool IsHierarchy(std::string_view text) {
  const std::size_t fragment = text.find('#');
  if (fragment != std::string_view::npos) {
    if (text.find_first_of("#[]", fragment + 1) != std::string_view::npos) return false;
    text = text.substr(0, fragment);
  }
  if (text.starts_with("//")) {
    text.remove_prefix(2);
    const std::string_view authority = text.substr(0, text.find_first_of("/?"));
    const std::string_view host = authority.substr(authority.rfind('@') + 1);  // npos + 1 is 0
    // Brackets are for an address literal at the start of the host.
    const std::size_t close = host.find(']');
    const bool literal = host.starts_with('[') && close != std::string_view::npos;
    const std::string_view rest = literal ? host.substr(close + 1) : host;
    if (rest.find_first_of("[]") != std::string_view::npos) return false;
    const std::size_t colon = rest.find(':');
    if (literal && colon != 0 && !rest.empty()) return false;
    if (colon != std::string_view::npos &&
        rest.find_first_not_of("0123456789", colon + 1) != std::string_view::npos) {
      return false;
    }
    text.remove_prefix(authority.size());
  }
  return text.find_first_of("[]") == std::string_view::npos;
}

}  // namespace

bool IsUri(std::string_view text) {
  const std::size_t scheme = SchemeLength(text);
  return scheme != std::string_view::npos && HasOnlyUriCharacters(text) &&
         IsHierarchy(text.substr(scheme + 1));
}

bool IsUriReference(std::string_view text) {
  const std::size_t scheme = SchemeLength(text);
  if (scheme != std::string_view::npos) return IsUri(text);
  // Without a scheme, a colon in the first segment would read as one.
  const std::size_t colon = text.find(':');
  const bool colon_in_first_segment =
      colon != std::string_view::npos && colon < text.find_first_of("/?#");
  return !colon_in_first_segment && HasOnlyUriCharacters(text) && IsHierarchy(text);
}

}  // namespace penstock::cloudevents
