#include "services/function-executor/domain/middleware/batch_input.h"

#include <fmt/format.h>

#include <boost/json.hpp>
#include <string>
#include <utility>

#include "services/function-executor/domain/content_type.h"
#include "services/function-executor/domain/middleware/json_place.h"

namespace penstock::executor {

namespace json = boost::json;

absl::StatusOr<std::shared_ptr<const Batch>> ReadBatchInput(const Batch& batch,
                                                            std::string_view text) {
  auto value = ParseJsonBody(text);
  if (!value || !value->is_array() || value->as_array().size() != batch.size()) {
    return absl::InvalidArgumentError(
        fmt::format("a middleware made of a batch something else than an array of its {} events",
                    batch.size()));
  }
  auto changed = std::make_shared<Batch>(batch);
  for (std::size_t i = 0; i < batch.size(); ++i) {
    const json::value& event = value->as_array()[i];
    if (!event.is_object()) {
      return absl::InvalidArgumentError(
          fmt::format("a middleware made of event {} of a batch something else than an object", i));
    }
    if (event.as_object().contains("data_base64")) continue;  // Bytes, which no step can change.
    const json::value* const data = event.as_object().if_contains("data");
    BatchedEvent& one = (*changed)[i];
    const bool is_text = data != nullptr && data->is_string() &&
                         !IsJsonContentType(one.content_type) && !one.content_type.empty();
    std::string payload;
    if (is_text) {
      payload = std::string(data->as_string());
    } else if (data != nullptr) {
      payload = json::serialize(*data);
    }
    one.payload = std::make_shared<const std::string>(std::move(payload));
  }
  return changed;
}

}  // namespace penstock::executor
