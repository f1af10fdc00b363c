#include "services/function-executor/domain/middleware/log_step.h"

#include <boost/json/serialize.hpp>
#include <utility>
#include <vector>

#include "services/function-executor/domain/content_type.h"
#include "services/function-executor/domain/middleware/call_key.h"

namespace penstock::executor {
namespace {

namespace json = boost::json;

constexpr char kRedacted[] = "[redacted]";

class LogStep final : public Middleware {
 public:
  struct Options {
    std::vector<JsonPlace> redact;
    bool keeps_failures = true;
    bool keeps_successes = true;
  };

  explicit LogStep(Options options) : options_(std::move(options)) {}

  void Handle(const std::shared_ptr<Step>& step) const override { step->Next(); }

  void ShapeRecord(RecordBodies* bodies) const override {
    if (!(bodies->has_failed ? options_.keeps_failures : options_.keeps_successes)) {
      bodies->input = nullptr;
      bodies->output = nullptr;
      bodies->keeps_logs = false;
      return;
    }
    if (options_.redact.empty()) return;
    bodies->input = Redact(bodies->input, bodies->input_type, bodies->is_batch);
    bodies->output = Redact(bodies->output, bodies->output_type, false);
  }

 private:
  // What cannot be read as JSON may hold anywhere what nobody is to read.
  Bytes Redact(const Bytes& body, const std::string& type, bool is_batch) const {
    if (body == nullptr || body->empty()) return body;
    auto value =
        is_batch || type.empty() || IsJsonContentType(type) ? ParseJsonBody(*body) : std::nullopt;
    if (!value) return nullptr;
    bool is_changed = false;
    if (is_batch && value->is_array()) {
      for (json::value& event : value->as_array()) {
        json::value* const data =
            event.is_object() ? event.as_object().if_contains("data") : nullptr;
        if (data != nullptr) is_changed = Redact(data) || is_changed;
      }
    } else {
      is_changed = Redact(&*value);
    }
    return is_changed ? std::make_shared<const std::string>(json::serialize(*value)) : body;
  }

  bool Redact(json::value* value) const {
    bool is_changed = false;
    for (const JsonPlace& place : options_.redact) {
      is_changed = place.Replace(value, json::value(kRedacted)) || is_changed;
    }
    return is_changed;
  }

  const Options options_;
};

}  // namespace

absl::StatusOr<std::shared_ptr<const Middleware>> MakeLogStep(StepSettings& settings,
                                                              const StepContext& /*context*/) {
  LogStep::Options options;
  auto places = ParsePlaces("redact", settings.Texts("redact"));
  if (!places.ok()) return places.status();
  options.redact = *std::move(places);
  const std::string bodies = settings.Text("bodies");
  options.keeps_successes = bodies != "FAILURES" && bodies != "NONE";
  options.keeps_failures = bodies != "NONE";
  return std::make_shared<const LogStep>(std::move(options));
}

}  // namespace penstock::executor
