// Values as JSON Schema compares them. Internal to libs/jsonschema.
#pragma once

#include <boost/json/value.hpp>
#include <cstddef>

namespace penstock::jsonschema {

// 1 and 1.0 are equal; the order of an object's members does not matter.
bool AreEqual(const boost::json::value& a, const boost::json::value& b);
// The same for equal values.
std::size_t HashOf(const boost::json::value& value);
// A number of any kind, exactly but for integers that a double had to hold.
long double NumberOf(const boost::json::value& value);
bool IsInteger(const boost::json::value& value);

}  // namespace penstock::jsonschema
