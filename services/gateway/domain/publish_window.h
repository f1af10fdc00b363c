// How much may wait for the broker's receipts on one stream.
#pragma once

#include <cstddef>
#include <map>
#include <string>
#include <string_view>

namespace penstock::gateway {

struct PublishLimits {
  std::size_t events_max = 4096;
  std::size_t bytes_max = 16u << 20;
};

// Counts what has no receipt, in all and by space. A space has a quarter of the limits, so that one
// cannot keep out the others; but what comes when it has nothing waiting is taken as a whole, so
// that a request within the limits of requests always fits. Not thread-safe.
class PublishWindow {
 public:
  explicit PublishWindow(PublishLimits limits);

  // Takes all of a request or nothing.
  bool TryReserve(std::string_view space, std::size_t events, std::size_t bytes);
  // Gives back one event.
  void Release(std::string_view space, std::size_t bytes);

  std::size_t events() const { return total_.events; }
  std::size_t bytes() const { return total_.bytes; }

 private:
  struct Amount {
    std::size_t events = 0;
    std::size_t bytes = 0;
  };

  const PublishLimits limits_;
  Amount total_;
  // Without the spaces that have nothing waiting.
  std::map<std::string, Amount, std::less<>> spaces_;
};

}  // namespace penstock::gateway
