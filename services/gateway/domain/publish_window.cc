#include "services/gateway/domain/publish_window.h"

namespace penstock::gateway {
namespace {

constexpr std::size_t kSpacesShare = 4;

}  // namespace

PublishWindow::PublishWindow(PublishLimits limits) : limits_(limits) {}

bool PublishWindow::TryReserve(std::string_view space, std::size_t events, std::size_t bytes) {
  if (total_.events + events > limits_.events_max || total_.bytes + bytes > limits_.bytes_max) {
    return false;
  }
  auto found = spaces_.find(space);
  if (found == spaces_.end()) {
    found = spaces_.emplace(std::string(space), Amount()).first;
  } else if (found->second.events + events > limits_.events_max / kSpacesShare ||
             found->second.bytes + bytes > limits_.bytes_max / kSpacesShare) {
    return false;
  }
  found->second.events += events;
  found->second.bytes += bytes;
  total_.events += events;
  total_.bytes += bytes;
  return true;
}

void PublishWindow::Release(std::string_view space, std::size_t bytes) {
  const auto found = spaces_.find(space);
  if (found == spaces_.end()) return;
  found->second.events -= 1;
  found->second.bytes -= bytes;
  total_.events -= 1;
  total_.bytes -= bytes;
  if (found->second.events == 0) spaces_.erase(found);
}

}  // namespace penstock::gateway
