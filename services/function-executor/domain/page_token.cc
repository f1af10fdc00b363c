#include "services/function-executor/domain/page_token.h"

#include <fmt/format.h>

#include <charconv>

#include "libs/base/crc32c.h"
#include "libs/base/names.h"
#include "libs/base/status.h"

namespace penstock::executor {
namespace {

// Tells lists with other filters apart; it need not withstand forgery, a token gives no rights.
std::string FiltersOf(const ExecutionQuery& query) {
  const auto number = [](const auto& value) { return value ? static_cast<int>(*value) : -1; };
  const auto time = [](const auto& value) { return value ? ToUnixMicros(*value) : -1; };
  const std::string all =
      fmt::format("{}\n{}\n{}\n{}\n{}\n{}\n{}\n{}\n{}", query.space, query.function,
                  number(query.state), number(query.trigger), query.event_id, query.subscription,
                  query.delivery_id, time(query.start_from), time(query.start_to));
  return fmt::format("{:08x}", Crc32c(all));
}

}  // namespace

std::string MakePageToken(const ExecutionPosition& position, const ExecutionQuery& query) {
  return fmt::format("{}_{:x}_{}", FiltersOf(query), position.start_micros, position.id);
}

absl::StatusOr<ExecutionPosition> ParsePageToken(std::string_view token,
                                                 const ExecutionQuery& query) {
  const auto no_token = [] {
    return FieldError("page_token", "is no token of an earlier answer to this call");
  };
  const std::size_t first = token.find('_');
  const std::size_t second = first == std::string_view::npos ? first : token.find('_', first + 1);
  if (second == std::string_view::npos) return no_token();
  ExecutionPosition position;
  const std::string_view micros = token.substr(first + 1, second - first - 1);
  const auto [end, error] =
      std::from_chars(micros.data(), micros.data() + micros.size(), position.start_micros, 16);
  position.id = token.substr(second + 1);
  if (error != std::errc() || end != micros.data() + micros.size() ||
      !CheckResourceId("page_token", position.id).ok()) {
    return no_token();
  }
  if (token.substr(0, first) != FiltersOf(query)) {
    return FieldError("page_token", "belongs to a list with other filters; expected the same ones");
  }
  return position;
}

}  // namespace penstock::executor
