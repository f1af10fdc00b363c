// What makes calls equal, and where keys are read from.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "services/function-executor/domain/middleware/json_place.h"
#include "services/function-executor/domain/middleware/middleware.h"

namespace penstock::executor {

// Texts that together make one digest; no two lists of texts give the same.
class KeyDigest {
 public:
  void Add(std::string_view text);
  // SHA-256, hexadecimal.
  std::string Value() const;

 private:
  std::string text_;
};

// The value of a header of an HTTP event (`name` in lower case), or of an attribute of another
// event; empty for none.
std::string HeaderOf(const Invocation& call, std::string_view name);

// Adds what tells HTTP events apart beside their body: method, host, path, query, and `headers`.
void AddHttp(const Invocation& call, const std::vector<std::string_view>& headers, KeyDigest* key);

// Adds the values at `places` of the payload; the whole of it when there are none, or when it is no
// JSON.
void AddPayload(const Step& step, const std::vector<JsonPlace>& places, KeyDigest* key);

// ASCII only.
std::string LowerCase(std::string_view text);

// INVALID_ARGUMENT naming the setting when one is no JSON Pointer.
absl::StatusOr<std::vector<JsonPlace>> ParsePlaces(std::string_view setting,
                                                   const std::vector<std::string>& pointers);

}  // namespace penstock::executor
