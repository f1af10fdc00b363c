#include "libs/log/secret.h"

#include <string.h>

#include "libs/base/ids.h"

namespace penstock::log {

Secret& Secret::operator=(const Secret& other) {
  if (this == &other) return *this;
  Wipe();
  value_ = other.value_;
  return *this;
}

// Short strings live inside the object, so a moved-from one may still hold its bytes: it is wiped.
Secret::Secret(Secret&& other) noexcept : value_(std::move(other.value_)) { other.Wipe(); }

Secret& Secret::operator=(Secret&& other) noexcept {
  if (this == &other) return *this;
  Wipe();
  value_ = std::move(other.value_);
  other.Wipe();
  return *this;
}

Secret::~Secret() { Wipe(); }

void Secret::Wipe() {
  // The whole capacity: an earlier, longer value may have left its tail there.
  value_.resize(value_.capacity());
  explicit_bzero(value_.data(), value_.size());
  value_.clear();
}

bool operator==(const Secret& a, const Secret& b) { return EqualsConstantTime(a.value_, b.value_); }

}  // namespace penstock::log
