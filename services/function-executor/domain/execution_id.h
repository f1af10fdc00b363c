// Ids of executions: the executor instance first, so that any replica knows where a record lives.
#pragma once

#include <cstdint>
#include <mutex>
#include <string>
#include <string_view>

#include "libs/base/time.h"

namespace penstock::executor {

// Makes "<instance>-<14 hexadecimal digits of microseconds><4 random ones>". Ids of one object rise
// strictly; the random part, drawn once, tells runs of the process apart whose clocks overlap.
// Thread-safe. `clock` must outlive it.
class ExecutionIds {
 public:
  ExecutionIds(std::string instance, const Clock& clock);

  std::string Next();

  const std::string& instance() const { return instance_; }

 private:
  const std::string instance_;
  const Clock& clock_;
  const std::string run_;
  std::mutex mutex_;
  std::int64_t last_micros_ = 0;
};

// The part of an id before its first hyphen.
std::string_view InstanceOf(std::string_view execution_id);

}  // namespace penstock::executor
