// A string that no log line, error or configuration listing shows.
#pragma once

#include <ostream>
#include <string>
#include <utility>

namespace penstock::log {

// Holds a secret. Prints as "*****" everywhere; only Reveal() gives the value. Its bytes are wiped
// when it is overwritten or destroyed. Comparison takes time that depends on the lengths only.
class Secret {
 public:
  Secret() = default;
  explicit Secret(std::string value) : value_(std::move(value)) {}
  Secret(const Secret&) = default;
  Secret& operator=(const Secret& other);
  Secret(Secret&& other) noexcept;
  Secret& operator=(Secret&& other) noexcept;
  ~Secret();

  // The value. Never to be logged or put into an error.
  const std::string& Reveal() const { return value_; }
  bool empty() const { return value_.empty(); }

  friend bool operator==(const Secret& a, const Secret& b);
  friend std::ostream& operator<<(std::ostream& out, const Secret&) { return out << "*****"; }

 private:
  void Wipe();

  std::string value_;
};

}  // namespace penstock::log
