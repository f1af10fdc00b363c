// Patterns for event types.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"

namespace penstock::broker {

// An event type in which up to three '*' stand for any run of characters, dots included. '*' alone
// is every type except "penstock.*" and "eventgateway.*". Immutable.
class TypePattern {
 public:
  // Checks and compiles `pattern`; the error names `field`.
  static absl::StatusOr<TypePattern> Parse(std::string_view field, std::string_view pattern);

  bool Matches(std::string_view type) const;

  // True when the pattern has no '*': it then matches only itself.
  bool exact() const { return pieces_.size() == 1; }
  const std::string& text() const { return text_; }

 private:
  std::string text_;
  std::vector<std::string> pieces_;  // The literal parts between the stars.
};

}  // namespace penstock::broker
