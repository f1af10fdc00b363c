// JSON pointers (RFC 6901). Internal to libs/jsonschema.
#pragma once

#include <boost/json/value.hpp>
#include <optional>
#include <string>
#include <string_view>

namespace penstock::jsonschema {

// "/" and the token, escaped.
std::string PointerTo(std::string_view token);

// The pointer in the fragment of a reference, without percent-encoding; nothing when malformed.
std::optional<std::string> FromFragment(std::string_view fragment);

// What the pointer leads to; null when there is nothing.
const boost::json::value* Find(const boost::json::value& document, std::string_view pointer);

}  // namespace penstock::jsonschema
