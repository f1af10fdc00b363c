#include "services/event-broker/domain/filter/trace.h"

#include <fmt/format.h>

#include "services/event-broker/domain/filter/type_pattern.h"

namespace penstock::broker {
namespace {

// What one filter came to, with the paths of the attributes that decided it.
struct Verdict {
  bool holds = false;
  std::vector<std::string> clauses;
};

void Append(std::vector<std::string> more, std::vector<std::string>& clauses) {
  for (std::string& clause : more) clauses.push_back(std::move(clause));
}

// All attributes decide when they hold, the first one that does not decides otherwise.
template <typename Compare>
Verdict JudgeAttributes(const Filter& filter, const std::string& path, const AttributeSource& event,
                        Compare compare) {
  Verdict verdict{true, {}};
  for (const auto& [name, wanted] : filter.attributes) {
    const auto value = event.Attribute(name);
    std::string clause = path + "." + name;
    if (!value || !compare(*value, std::string_view(wanted))) return {false, {std::move(clause)}};
    verdict.clauses.push_back(std::move(clause));
  }
  return verdict;
}

Verdict Judge(const Filter& filter, const std::string& path, const AttributeSource& event);

// For `all`, `deciding` is false: the first child that does not hold decides, else all of them do;
// for `any` it is the other way round.
Verdict JudgeChildren(const Filter& filter, const std::string& path, const AttributeSource& event,
                      bool deciding) {
  Verdict verdict{!deciding, {}};
  for (std::size_t i = 0; i < filter.children.size(); ++i) {
    Verdict child = Judge(filter.children[i], fmt::format("{}[{}]", path, i), event);
    if (child.holds == deciding) return child;
    Append(std::move(child.clauses), verdict.clauses);
  }
  return verdict;
}

Verdict Judge(const Filter& filter, const std::string& path, const AttributeSource& event) {
  switch (filter.kind) {
    case Filter::Kind::kExact:
      return JudgeAttributes(filter, path + ".exact", event,
                             [](auto value, auto want) { return value == want; });
    case Filter::Kind::kPrefix:
      return JudgeAttributes(filter, path + ".prefix", event,
                             [](auto value, auto want) { return value.starts_with(want); });
    case Filter::Kind::kSuffix:
      return JudgeAttributes(filter, path + ".suffix", event,
                             [](auto value, auto want) { return value.ends_with(want); });
    case Filter::Kind::kAll: return JudgeChildren(filter, path + ".all", event, false);
    case Filter::Kind::kAny: return JudgeChildren(filter, path + ".any", event, true);
    case Filter::Kind::kNot: {
      Verdict verdict = Judge(filter.children.front(), path + ".not", event);
      verdict.holds = !verdict.holds;
      return verdict;
    }
  }
  return {};
}

}  // namespace

std::string Trace::Clause() const {
  std::string text;
  for (const std::string& clause : clauses) text += (text.empty() ? "" : ", ") + clause;
  return text;
}

Trace TraceMatch(std::string_view event_type, const std::vector<Filter>& filters,
                 const EventView& event) {
  Trace trace;
  trace.clauses = {"eventType"};
  if (!event_type.empty()) {
    const auto pattern = TypePattern::Parse("eventType", event_type);
    if (!pattern.ok() || !pattern->Matches(event.type)) return trace;
  }
  trace.type_matched = true;
  for (std::size_t i = 0; i < filters.size(); ++i) {
    Verdict verdict = Judge(filters[i], fmt::format("filters[{}]", i), *event.attributes);
    if (!verdict.holds) {
      trace.clauses = std::move(verdict.clauses);
      return trace;
    }
    Append(std::move(verdict.clauses), trace.clauses);
  }
  trace.matched = true;
  return trace;
}

}  // namespace penstock::broker
