// The load: unary calls, so many in flight at a time.
#pragma once

#include <chrono>
#include <cstddef>
#include <string>

namespace penstock::gateway {

struct LoadOptions {
  std::string address;
  int connections = 4;
  int in_flight = 64;
  std::string method = "/bench.Echo/Call";
  std::string message = std::string(128, 'x');
  // Whether the answer has to be of the message's size.
  bool is_echo = true;
  std::chrono::milliseconds warm_up{500};
  std::chrono::milliseconds duration{4'000};
};

struct LoadResult {
  double calls_per_second = 0;
  double p50_us = 0;
  double p99_us = 0;
  // All calls, warm-up included.
  std::size_t calls = 0;
  // Those that failed, or did not return their message.
  std::size_t failures = 0;
};

LoadResult RunLoad(const LoadOptions& options);

}  // namespace penstock::gateway
