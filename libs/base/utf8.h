// UTF-8 validity.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace penstock {

// The length of the valid UTF-8 sequence at the start of `text`, which is not empty: 1 to 4, or 0
// when there is none (overlong forms, surrogates and values above U+10FFFF included).
std::size_t Utf8SequenceLength(std::string_view text);

// Whether all of `text` is UTF-8.
bool IsValidUtf8(std::string_view text);

// `text` with U+FFFD in place of each byte that is no part of a sequence: a string field takes
// UTF-8 only.
std::string ToUtf8(std::string_view text);

// The start of `text`, at most `bytes_max` long, without a part of a sequence at its end.
std::string_view CutUtf8(std::string_view text, std::size_t bytes_max);

}  // namespace penstock
