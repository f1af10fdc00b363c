// SHA-256 of what comes in pieces.
#pragma once

#include <memory>
#include <string>
#include <string_view>

namespace penstock {

// The digest of everything that was given, in order. For data that is whole already: Sha256Hex
// (ids.h). Not thread-safe.
class Sha256 {
 public:
  Sha256();
  ~Sha256();
  Sha256(const Sha256&) = delete;
  Sha256& operator=(const Sha256&) = delete;

  void Update(std::string_view data);

  // Lower-case hexadecimal. Called once, last.
  std::string Hex();

 private:
  struct Context;
  const std::unique_ptr<Context> context_;
};

// Whether `text` has the form of such a digest: 64 lower-case hexadecimal digits.
bool IsSha256Hex(std::string_view text);

}  // namespace penstock
