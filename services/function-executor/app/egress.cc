#include "services/function-executor/app/egress.h"

#include <fmt/format.h>

#include <charconv>
#include <cstdint>
#include <string>

#include "libs/base/status.h"

namespace penstock::executor {

absl::StatusOr<http::EgressPolicy> MakeEgressPolicy(const Config& config) {
  http::EgressPolicy::Options options;
  options.allow = config.egress_allow;
  for (const std::string& text : config.egress_denied_ports) {
    std::uint16_t port = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), port);
    if (error != std::errc() || end != text.data() + text.size() || port == 0) {
      return FieldError("egress.denied_ports",
                        fmt::format("\"{}\" is no port; expected 1 to 65535", text));
    }
    options.denied_ports.push_back(port);
  }
  return http::EgressPolicy::Create(options);
}

}  // namespace penstock::executor
