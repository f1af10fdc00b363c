// What a middleware was set to.
#pragma once

#include <boost/json/object.hpp>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "libs/base/time.h"

namespace penstock::executor {

// The settings of one step, in the JSON form of its message: names in lowerCamelCase, durations as
// "1.5s". Members that are not there have the default that is asked with. The function-manager has
// checked them; what cannot be read all the same is in status(). Not thread-safe.
class StepSettings {
 public:
  // INVALID_ARGUMENT when `text` is no JSON object.
  static absl::StatusOr<StepSettings> Parse(std::string_view text);

  bool Has(std::string_view name) const { return object_.contains({name.data(), name.size()}); }
  bool Flag(std::string_view name);
  std::int64_t Integer(std::string_view name, std::int64_t otherwise);
  double Number(std::string_view name, double otherwise);
  Microseconds Duration(std::string_view name, Microseconds otherwise);
  std::string Text(std::string_view name, std::string_view otherwise = {});
  std::vector<std::string> Texts(std::string_view name);
  std::vector<std::int64_t> Integers(std::string_view name);

  // What is wrong with the first member that could not be read.
  const absl::Status& status() const { return status_; }

 private:
  const boost::json::value* Find(std::string_view name) const;
  void Fail(std::string_view name, std::string_view expected);

  boost::json::object object_;
  absl::Status status_;
};

}  // namespace penstock::executor
