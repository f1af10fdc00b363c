// Identifiers and digests.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace penstock {

// A random (version 4) UUID in lower case. Thread-safe.
std::string NewUuid();

// `bytes` random bytes from the system's generator, as lower-case hexadecimal. Thread-safe.
std::string RandomHex(std::size_t bytes);

// SHA-256 as lower-case hexadecimal.
std::string Sha256Hex(std::string_view data);

// Compares in time that depends on the lengths only. For secrets.
bool EqualsConstantTime(std::string_view a, std::string_view b);

}  // namespace penstock
