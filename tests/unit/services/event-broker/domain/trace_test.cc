#include "services/event-broker/domain/filter/trace.h"

#include <gtest/gtest.h>

#include <map>
#include <random>

namespace penstock::broker {
namespace {

class Attributes final : public AttributeSource {
 public:
  explicit Attributes(std::map<std::string, std::string> values) : values_(std::move(values)) {}
  std::optional<std::string_view> Attribute(std::string_view name) const override {
    const auto at = values_.find(std::string(name));
    if (at == values_.end()) return std::nullopt;
    return at->second;
  }

 private:
  std::map<std::string, std::string> values_;
};

Filter Leaf(Filter::Kind kind, std::vector<std::pair<std::string, std::string>> attributes) {
  return {kind, std::move(attributes), {}};
}
Filter Node(Filter::Kind kind, std::vector<Filter> children) {
  return {kind, {}, std::move(children)};
}

constexpr auto kExact = Filter::Kind::kExact;
constexpr auto kPrefix = Filter::Kind::kPrefix;
constexpr auto kSuffix = Filter::Kind::kSuffix;
constexpr auto kAll = Filter::Kind::kAll;
constexpr auto kAny = Filter::Kind::kAny;
constexpr auto kNot = Filter::Kind::kNot;

Trace TraceOf(const std::string& type, const std::vector<Filter>& filters) {
  const Attributes attributes({{"source", "/shop"}, {"subject", "17"}, {"type", "order.paid"}});
  return TraceMatch(type, filters, {"default", "order.paid", &attributes});
}

TEST(TraceTest, TheEventTypeDecidesFirst) {
  const Trace other = TraceOf("user.*", {Leaf(kExact, {{"source", "/none"}})});
  EXPECT_FALSE(other.matched);
  EXPECT_FALSE(other.type_matched);
  EXPECT_EQ(other.Clause(), "eventType");
  EXPECT_EQ(TraceOf("order.*", {}).Clause(), "eventType");
  EXPECT_TRUE(TraceOf("order.*", {}).matched);
  EXPECT_TRUE(TraceOf("", {}).matched);
}

TEST(TraceTest, AFailureNamesTheAttributeThatDecided) {
  const Trace trace =
      TraceOf("order.*", {Leaf(kPrefix, {{"source", "/sh"}}),
                          Leaf(kExact, {{"source", "/shop"}, {"subject", "18"}, {"time", "x"}})});
  EXPECT_FALSE(trace.matched);
  EXPECT_TRUE(trace.type_matched);
  EXPECT_EQ(trace.Clause(), "filters[1].exact.subject");
}

TEST(TraceTest, AnyFailsByAllOfItsChildrenAndAllByTheFirst) {
  EXPECT_EQ(
      TraceOf("*",
              {Node(kAny, {Leaf(kExact, {{"source", "/a"}}), Leaf(kSuffix, {{"subject", "8"}})})})
          .Clause(),
      "filters[0].any[0].exact.source, filters[0].any[1].suffix.subject");
  EXPECT_EQ(TraceOf("*", {Node(kAll, {Leaf(kExact, {{"source", "/shop"}}),
                                      Leaf(kSuffix, {{"subject", "8"}}),
                                      Leaf(kExact, {{"source", "/a"}})})})
                .Clause(),
            "filters[0].all[1].suffix.subject");
}

TEST(TraceTest, AMatchNamesWhatMadeIt) {
  const Trace trace = TraceOf(
      "order.*", {Node(kAny, {Leaf(kExact, {{"source", "/a"}}), Leaf(kExact, {{"subject", "17"}})}),
                  Node(kNot, {Leaf(kExact, {{"source", "/none"}})})});
  EXPECT_TRUE(trace.matched);
  EXPECT_EQ(trace.Clause(),
            "eventType, filters[0].any[1].exact.subject, filters[1].not.exact.source");
}

TEST(TraceTest, NotFailsByWhatHolds) {
  EXPECT_EQ(
      TraceOf("*", {Node(kNot, {Leaf(kPrefix, {{"source", "/s"}, {"subject", "1"}})})}).Clause(),
      "filters[0].not.prefix.source, filters[0].not.prefix.subject");
}

Filter RandomFilter(std::mt19937& random, int depth) {
  const auto pick = [&](int below) { return static_cast<int>(random() % below); };
  static const char* const kNames[] = {"source", "subject", "type", "absent"};
  static const char* const kValues[] = {"/shop", "17", "order.paid", "/", "7", "o"};
  const int kind = depth > 2 ? pick(3) : pick(6);
  if (kind < 3) {
    Filter leaf = Leaf(static_cast<Filter::Kind>(kind), {});
    for (int i = 0; i <= pick(2); ++i) {
      leaf.attributes.emplace_back(kNames[pick(4)], kValues[pick(6)]);
    }
    return leaf;
  }
  Filter node = Node(static_cast<Filter::Kind>(kind), {});
  const int children = node.kind == kNot ? 1 : 1 + pick(3);
  for (int i = 0; i < children; ++i) node.children.push_back(RandomFilter(random, depth + 1));
  return node;
}

TEST(TraceTest, AgreesWithTheHotPath) {
  std::mt19937 random(7);
  const Attributes attributes({{"source", "/shop"}, {"subject", "17"}, {"type", "order.paid"}});
  const EventView view{"default", "order.paid", &attributes};
  int matched = 0;
  for (int round = 0; round < 5000; ++round) {
    Subscription subscription;
    subscription.space = "default";
    subscription.event_type = round % 5 == 0 ? "user.*" : "order.*";
    for (int i = 0; i < round % 3; ++i) subscription.filters.push_back(RandomFilter(random, 0));
    const Trace trace = TraceMatch(subscription.event_type, subscription.filters, view);
    ASSERT_EQ(trace.matched, CompiledSubscription(subscription).Matches(view)) << round;
    ASSERT_FALSE(trace.clauses.empty()) << round;
    matched += trace.matched ? 1 : 0;
  }
  EXPECT_GT(matched, 1000);
  EXPECT_LT(matched, 4000);
}

}  // namespace
}  // namespace penstock::broker
