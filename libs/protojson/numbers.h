// Numbers from text, exactly as the proto3 JSON mapping accepts them.
#pragma once

#include <cstdint>
#include <string_view>

namespace penstock::protojson {

enum class NumberResult {
  kOk,
  kMalformed,   // not a number in JSON's grammar
  kNotInteger,  // has a fraction
  kOutOfRange,
};

// Parses an integer, also when it is written as "1.0" or "1e3". Exact: nothing goes through a
// double.
NumberResult ParseInt64(std::string_view text, std::int64_t* value);
NumberResult ParseUint64(std::string_view text, std::uint64_t* value);

// Like the above, within 32 bits.
NumberResult ParseInt32(std::string_view text, std::int32_t* value);
NumberResult ParseUint32(std::string_view text, std::uint32_t* value);

// Parses a finite number; what is too small becomes 0, what is too large is out of range.
NumberResult ParseDouble(std::string_view text, double* value);
NumberResult ParseFloat(std::string_view text, float* value);

// Like the above, and "NaN", "Infinity" and "-Infinity", which JSON writes as strings.
NumberResult ParseDoubleText(std::string_view text, double* value);
NumberResult ParseFloatText(std::string_view text, float* value);

// Whether `text` is a number in JSON's grammar.
bool IsJsonNumber(std::string_view text);

}  // namespace penstock::protojson
