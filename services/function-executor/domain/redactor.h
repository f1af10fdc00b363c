// Takes the values of secrets out of what a function says.
#pragma once

#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "services/function-executor/domain/invocation.h"

namespace penstock::executor {

// Replaces each value, as it is and as JSON writes it, by "[secret <id>.<key>]", or "[signing
// secret <key>]". Values of fewer than 6 bytes are left: they would be found where nobody meant
// them. What a function changes about a value first (encodes, splits) is not recognised. Not
// thread-safe.
class Redactor {
 public:
  static constexpr std::size_t kValueBytesMin = 6;

  // What the function was given, and what signs for it; either may be null.
  explicit Redactor(const Secrets* secrets, const SecretValues* signing = nullptr);

  std::string Clean(std::string_view text) const;
  // Logs and error.
  void CleanWords(Outcome* outcome) const;
  // A copy whose payload is clean too: for the record, not for the caller.
  Outcome ForRecord(const Outcome& outcome) const;

 private:
  struct Word {
    std::string text;
    std::string instead;
  };

  void Add(const std::string& value, const std::string& instead);
  bool IsIn(std::string_view text) const;

  std::vector<Word> words_;  // The longest first: one may contain another.
};

}  // namespace penstock::executor
