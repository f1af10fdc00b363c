#include "services/function-executor/domain/metric_text.h"

#include <boost/json.hpp>
#include <optional>
#include <string>
#include <utility>

namespace penstock::executor {
namespace {

namespace json = boost::json;

constexpr std::size_t kMetricsMax = 32;
constexpr std::size_t kBytesMax = 64 * 1024;

std::string TextOf(const json::value& value) {
  return value.is_string() ? std::string(value.get_string().c_str(), value.get_string().size())
                           : std::string();
}

std::optional<FunctionMetric> MetricOf(const json::value& value) {
  const json::object* object = value.if_object();
  if (object == nullptr) return std::nullopt;
  FunctionMetric metric;
  if (const json::value* name = object->if_contains("name")) metric.name = TextOf(*name);
  if (const json::value* amount = object->if_contains("value")) {
    json::error_code error;
    metric.value = amount->to_number<double>(error);
    if (error) return std::nullopt;
  }
  if (const json::value* labels = object->if_contains("labels")) {
    if (!labels->is_object()) return std::nullopt;
    for (const auto& member : labels->get_object()) {
      if (!member.value().is_string()) return std::nullopt;
      metric.labels[std::string(member.key())] = TextOf(member.value());
    }
  }
  return metric;
}

}  // namespace

std::vector<FunctionMetric> ParseMetrics(std::string_view text) {
  std::vector<FunctionMetric> metrics;
  if (text.empty() || text.size() > kBytesMax) return metrics;
  json::error_code error;
  const json::value value = json::parse({text.data(), text.size()}, error);
  if (error || !value.is_array()) return metrics;
  for (const json::value& element : value.get_array()) {
    if (metrics.size() == kMetricsMax) break;
    if (auto metric = MetricOf(element)) metrics.push_back(*std::move(metric));
  }
  return metrics;
}

}  // namespace penstock::executor
