// Several violations as one answer.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "libs/base/status.h"

namespace penstock::broker {

// Collects the violations of several checks into one status.
class Problems {
 public:
  void Add(const absl::Status& status) {
    for (FieldViolation& violation : FieldViolationsOf(status)) {
      violations_.push_back(std::move(violation));
    }
  }
  void Check(bool holds, std::string field, std::string description) {
    if (!holds) violations_.push_back({std::move(field), std::move(description)});
  }
  absl::Status Status() const { return FieldErrors(violations_); }

 private:
  std::vector<FieldViolation> violations_;
};

}  // namespace penstock::broker
