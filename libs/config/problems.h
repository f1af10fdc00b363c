// Everything that is wrong with a configuration, not only the first thing.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "libs/config/value.h"

namespace penstock::config {

// One thing that is wrong, and where.
struct Problem {
  Place place;
  // Dotted, with list positions: "listeners[2].kind". May be empty.
  std::string key;
  std::string message;

  // "gateway.yaml:3:5: http.listen: expected …".
  std::string ToString() const;
};

class Problems {
 public:
  void Add(Place place, std::string key, std::string message);

  bool empty() const { return problems_.empty(); }
  std::size_t size() const { return problems_.size(); }
  const std::vector<Problem>& all() const { return problems_; }
  // True when a problem names `key` or something below it.
  bool Concerns(std::string_view key) const;

  // INVALID_ARGUMENT with a violation for each problem; OK when there is none.
  absl::Status ToStatus() const;

 private:
  std::vector<Problem> problems_;
};

}  // namespace penstock::config
