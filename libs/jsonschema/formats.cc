#include "libs/jsonschema/formats.h"

#include <arpa/inet.h>
#include <re2/re2.h>

#include <algorithm>
#include <string>

namespace penstock::jsonschema {
namespace {

bool Matches(const RE2& expression, std::string_view text) {
  return RE2::FullMatch(re2::StringPiece(text.data(), text.size()), expression);
}

int Number(std::string_view digits) {
  int number = 0;
  for (const char c : digits) number = 10 * number + (c - '0');
  return number;
}

// RFC 3339, 5.6.
bool IsDate(std::string_view text) {
  static const RE2 kForm("[0-9]{4}-[0-9]{2}-[0-9]{2}");
  if (!Matches(kForm, text)) return false;
  const int year = Number(text.substr(0, 4));
  const int month = Number(text.substr(5, 2));
  const int day = Number(text.substr(8, 2));
  constexpr int kDays[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
  if (month < 1 || month > 12) return false;
  const bool is_leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
  return day >= 1 && day <= kDays[month - 1] + (month == 2 && is_leap ? 1 : 0);
}

bool IsTime(std::string_view text) {
  static const RE2 kForm(
      "([0-9]{2}):([0-9]{2}):([0-9]{2})(?:\\.[0-9]+)?(?:[Zz]|([+-])([0-9]{2}):([0-9]{2}))");
  int hour = 0;
  int minute = 0;
  int second = 0;
  std::string sign;
  std::string offset_hour;
  std::string offset_minute;
  if (!RE2::FullMatch(re2::StringPiece(text.data(), text.size()), kForm, &hour, &minute, &second,
                      &sign, &offset_hour, &offset_minute)) {
    return false;
  }
  const int offset_hours = Number(offset_hour);
  const int offset_minutes = Number(offset_minute);
  if (hour > 23 || minute > 59 || second > 60 || offset_hours > 23 || offset_minutes > 59) {
    return false;
  }
  if (second < 60) return true;
  // A leap second comes at the end of a day in UTC.
  const int shift = (offset_hours * 60 + offset_minutes) * (sign == "-" ? 1 : -1);
  constexpr int kDay = 24 * 60;
  return (hour * 60 + minute + shift + kDay) % kDay == kDay - 1;
}

bool IsDateTime(std::string_view text) {
  constexpr std::size_t kDateSize = 10;
  return text.size() > kDateSize && (text[kDateSize] == 'T' || text[kDateSize] == 't') &&
         IsDate(text.substr(0, kDateSize)) && IsTime(text.substr(kDateSize + 1));
}

// RFC 1123, 2.1.
bool IsHostname(std::string_view text) {
  static const RE2 kForm(
      "(?:[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?)"
      "(?:\\.[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?)*");
  return text.size() <= 253 && Matches(kForm, text);
}

bool IsIpv4(std::string_view text) {
  in_addr address{};
  return inet_pton(AF_INET, std::string(text).c_str(), &address) == 1 &&
         text.find('\0') == text.npos;
}

bool IsIpv6(std::string_view text) {
  in6_addr address{};
  return inet_pton(AF_INET6, std::string(text).c_str(), &address) == 1 &&
         text.find('\0') == text.npos;
}

// RFC 5321, 4.1.2, without comments and address literals of other kinds.
bool IsEmail(std::string_view text) {
  static const RE2 kLocal(
      "[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+(?:\\.[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+)*"
      "|\"(?:[ !#-\\[\\]-~]|\\\\[ -~])*\"");
  const std::size_t at = text.rfind('@');
  if (at == text.npos || at == 0 || at > 64 || !Matches(kLocal, text.substr(0, at))) return false;
  const std::string_view domain = text.substr(at + 1);
  if (!domain.starts_with('[') || !domain.ends_with(']')) return IsHostname(domain);
  std::string_view literal = domain.substr(1, domain.size() - 2);
  constexpr std::string_view kIpv6 = "IPv6:";
  return literal.starts_with(kIpv6) ? IsIpv6(literal.substr(kIpv6.size())) : IsIpv4(literal);
}

// RFC 3986, with a scheme.
bool IsUri(std::string_view text) {
  static const RE2 kForm(
      "[A-Za-z][A-Za-z0-9+.-]*:"
      "(?://(?:(?:[A-Za-z0-9._~!$&'()*+,;=:-]|%[0-9A-Fa-f]{2})*@)?"
      "(?:\\[[0-9A-Fa-f:.]+\\]|(?:[A-Za-z0-9._~!$&'()*+,;=-]|%[0-9A-Fa-f]{2})*)(?::[0-9]*)?"
      "(?:/(?:[A-Za-z0-9._~!$&'()*+,;=:@/-]|%[0-9A-Fa-f]{2})*)?"
      "|(?:[A-Za-z0-9._~!$&'()*+,;=:@/-]|%[0-9A-Fa-f]{2})*)"
      "(?:\\?(?:[A-Za-z0-9._~!$&'()*+,;=:@/?-]|%[0-9A-Fa-f]{2})*)?"
      "(?:#(?:[A-Za-z0-9._~!$&'()*+,;=:@/?-]|%[0-9A-Fa-f]{2})*)?");
  return Matches(kForm, text);
}

bool IsUuid(std::string_view text) {
  static const RE2 kForm(
      "[0-9A-Fa-f]{8}-[0-9A-Fa-f]{4}-[0-9A-Fa-f]{4}-[0-9A-Fa-f]{4}-[0-9A-Fa-f]{12}");
  return Matches(kForm, text);
}

bool IsRegex(std::string_view text) {
  RE2::Options options;
  options.set_log_errors(false);
  return RE2(re2::StringPiece(text.data(), text.size()), options).ok();
}

constexpr Format kFormats[] = {
    {"date", IsDate}, {"date-time", IsDateTime}, {"email", IsEmail}, {"hostname", IsHostname},
    {"ipv4", IsIpv4}, {"ipv6", IsIpv6},          {"regex", IsRegex}, {"time", IsTime},
    {"uri", IsUri},   {"uuid", IsUuid},
};

}  // namespace

const Format* FindFormat(std::string_view name) {
  const auto* const found = std::find_if(std::begin(kFormats), std::end(kFormats),
                                         [&](const Format& format) { return format.name == name; });
  return found == std::end(kFormats) ? nullptr : found;
}

}  // namespace penstock::jsonschema
