#include "libs/jsonschema/json_equal.h"

#include <algorithm>
#include <cmath>
#include <functional>
#include <string_view>

namespace penstock::jsonschema {

namespace json = boost::json;

long double NumberOf(const json::value& value) {
  if (value.is_int64()) return static_cast<long double>(value.get_int64());
  if (value.is_uint64()) return static_cast<long double>(value.get_uint64());
  return static_cast<long double>(value.get_double());
}

bool IsInteger(const json::value& value) {
  if (value.is_int64() || value.is_uint64()) return true;
  return value.is_double() && std::trunc(value.get_double()) == value.get_double();
}

bool AreEqual(const json::value& a, const json::value& b) {
  if (a.is_number() && b.is_number()) return NumberOf(a) == NumberOf(b);
  if (a.kind() != b.kind()) return false;
  switch (a.kind()) {
    case json::kind::null: return true;
    case json::kind::bool_: return a.get_bool() == b.get_bool();
    case json::kind::string: return a.get_string() == b.get_string();
    case json::kind::array: {
      const json::array& left = a.get_array();
      const json::array& right = b.get_array();
      return std::equal(left.begin(), left.end(), right.begin(), right.end(), AreEqual);
    }
    case json::kind::object: {
      const json::object& left = a.get_object();
      const json::object& right = b.get_object();
      return left.size() == right.size() &&
             std::all_of(left.begin(), left.end(), [&](const json::key_value_pair& member) {
               const json::value* const other = right.if_contains(member.key());
               return other != nullptr && AreEqual(member.value(), *other);
             });
    }
    default: return false;  // Numbers came first.
  }
}

std::size_t HashOf(const json::value& value) {
  const auto text = [](std::string_view string) { return std::hash<std::string_view>()(string); };
  if (value.is_number()) return std::hash<long double>()(NumberOf(value));
  std::size_t hash = static_cast<std::size_t>(value.kind()) + 1;
  switch (value.kind()) {
    case json::kind::bool_: return hash * 31 + (value.get_bool() ? 1 : 0);
    case json::kind::string: return text(value.get_string());
    case json::kind::array:
      for (const json::value& item : value.get_array()) hash = hash * 1'000'003 + HashOf(item);
      return hash;
    case json::kind::object:
      for (const json::key_value_pair& member : value.get_object()) {
        hash += (text(member.key()) * 1'000'003) ^ HashOf(member.value());
      }
      return hash;
    default: return hash;
  }
}

}  // namespace penstock::jsonschema
