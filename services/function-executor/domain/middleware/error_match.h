// Which errors a step means.
#pragma once

#include <array>
#include <string>
#include <vector>

#include "services/function-executor/domain/classify.h"
#include "services/function-executor/domain/invocation.h"

namespace penstock::executor {

// A set of categories of errors. Immutable.
class CategorySet {
 public:
  // By their names in the contract; those that are none are left out.
  explicit CategorySet(const std::vector<std::string>& names) {
    for (const ErrorCategory category :
         {ErrorCategory::kInput, ErrorCategory::kFunction, ErrorCategory::kSystem}) {
      for (const std::string& name : names) {
        if (name == CategoryName(category)) has_.at(static_cast<std::size_t>(category)) = true;
      }
    }
  }

  bool Has(ErrorCategory category) const { return has_.at(static_cast<std::size_t>(category)); }

 private:
  std::array<bool, 3> has_{};
};

// True when the caller gave the call up: that says nothing of the function.
inline bool IsCancelled(const Outcome& outcome) {
  return outcome.error && outcome.error->category == ErrorCategory::kSystem &&
         outcome.error->type == "Cancelled";
}

}  // namespace penstock::executor
