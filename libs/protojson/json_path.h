// The place of a value in a JSON document, for errors: `filters[0].exact.source`.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

#include "absl/status/status.h"

namespace penstock::protojson {

// One step of a path, linked to the step before it. Lives on the stack of the code that walks down;
// costs nothing until an error asks for the text.
class JsonPath {
 public:
  // The root; `prefix` is the name of what the whole document is, and may be empty.
  explicit JsonPath(std::string_view prefix = {}) : name_(prefix) {}
  // A member of `parent`, which must outlive this step.
  JsonPath(const JsonPath& parent, std::string_view name) : parent_(&parent), name_(name) {}
  // An element of `parent`, which must outlive this step.
  JsonPath(const JsonPath& parent, std::size_t index)
      : parent_(&parent), index_(index), is_index_(true) {}

  // Names are shown as `.name`, or `["name"]` when they are not plain; long ones are cut.
  std::string ToString() const;

  // INVALID_ARGUMENT naming this place (libs/base FieldError); at an unnamed root, without a field.
  absl::Status Error(std::string_view description) const;

 private:
  void AppendTo(std::string& out) const;

  const JsonPath* parent_ = nullptr;
  std::string_view name_;
  std::size_t index_ = 0;
  bool is_index_ = false;
};

}  // namespace penstock::protojson
