// Event type patterns and filters: matching agrees with its explanation, and with the plain way to
// match a pattern.
#include <map>
#include <string>
#include <vector>

#include "services/event-broker/domain/filter/filter.h"
#include "services/event-broker/domain/filter/trace.h"
#include "services/event-broker/domain/filter/type_pattern.h"
#include "tests/fuzz/check.h"

namespace penstock::broker {
namespace {

class Attributes final : public AttributeSource {
 public:
  std::map<std::string, std::string, std::less<>> values;
  std::optional<std::string_view> Attribute(std::string_view name) const override {
    const auto found = values.find(name);
    if (found == values.end()) return std::nullopt;
    return found->second;
  }
};

// One filter of the front of `text`: a letter for its kind, then `name=value;` or its children.
Filter TakeFilter(std::string_view& text, int depth) {
  Filter filter;
  const int kind = TakeByte(text) % 6;
  filter.kind = static_cast<Filter::Kind>(kind);
  if (kind < 3 || depth > 9) {
    std::string_view pair = TakeUntil(text, ';');
    const std::string_view name = TakeUntil(pair, '=');
    filter.attributes.emplace_back(name, pair);
    return filter;
  }
  const int children = filter.kind == Filter::Kind::kNot ? 1 : 1 + TakeByte(text) % 3;
  for (int i = 0; i < children; ++i) filter.children.push_back(TakeFilter(text, depth + 1));
  return filter;
}

// Whether `type` fits `pattern`, by trying every length for each star.
bool FitsPlainly(std::string_view pattern, std::string_view type) {
  if (pattern.empty()) return type.empty();
  if (pattern.front() != '*') {
    return !type.empty() && type.front() == pattern.front() &&
           FitsPlainly(pattern.substr(1), type.substr(1));
  }
  for (std::size_t skip = 0; skip <= type.size(); ++skip) {
    if (FitsPlainly(pattern.substr(1), type.substr(skip))) return true;
  }
  return false;
}

void CheckPattern(std::string_view pattern, std::string_view type) {
  const auto parsed = TypePattern::Parse("eventType", pattern);
  if (!parsed.ok()) return;
  FUZZ_CHECK(parsed->text() == pattern);
  // The lone star leaves out the types of the broker itself.
  if (pattern == "*" || type.size() > 64) return;
  FUZZ_CHECK(parsed->Matches(type) == FitsPlainly(pattern, type));
}

void CheckFilter(std::string_view type, std::string_view text) {
  Attributes event;
  event.values.emplace("type", type);
  std::string_view pairs = TakeUntil(text, '\n');
  while (!pairs.empty()) {
    std::string_view pair = TakeUntil(pairs, ';');
    const std::string_view name = TakeUntil(pair, '=');
    event.values.emplace(name, pair);
  }
  std::vector<Filter> filters;
  while (!text.empty() && filters.size() < 40) filters.push_back(TakeFilter(text, 0));
  if (!CheckFilters(filters).ok()) return;
  bool holds = true;
  for (const Filter& filter : filters) {
    const bool one = Holds(filter, event);
    Filter inverse{Filter::Kind::kNot, {}, {filter}};
    FUZZ_CHECK(Holds(inverse, event) == !one);
    holds = holds && one;
  }
  const Trace trace = TraceMatch("", filters, {"space", type, &event});
  FUZZ_CHECK(trace.matched == holds);
  FUZZ_CHECK(!trace.clauses.empty());
}

}  // namespace
}  // namespace penstock::broker

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace penstock;
  std::string_view text = FuzzText(data, size);
  const std::string_view pattern = TakeUntil(text, '\n');
  const std::string_view type = TakeUntil(text, '\n');
  broker::CheckPattern(pattern, type);
  broker::CheckFilter(type, text);
  return 0;
}
