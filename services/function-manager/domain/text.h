// Small questions about texts that users give.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace penstock::functions {

// The text in double quotes for a message, cut after 80 bytes.
std::string Quoted(std::string_view text);

// Characters (not bytes) of a UTF-8 text.
std::size_t CharacterCount(std::string_view utf8);

// True when every byte is allowed in an HTTP header's value: no control byte but the tab.
bool IsHeaderValue(std::string_view text);

// True for an HTTP token, which a header's name must be.
bool IsHttpToken(std::string_view text);

// True for a letter or underscore followed by letters, digits and underscores.
bool IsIdentifier(std::string_view text);

// Lower-case copy, ASCII only.
std::string LowerCase(std::string_view text);

}  // namespace penstock::functions
