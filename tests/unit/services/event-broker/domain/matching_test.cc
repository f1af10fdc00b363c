#include <gtest/gtest.h>

#include <map>

#include "libs/base/status.h"
#include "services/event-broker/domain/filter/filter.h"
#include "services/event-broker/domain/filter/matcher.h"
#include "services/event-broker/domain/filter/type_pattern.h"

namespace penstock::broker {
namespace {

class FakeAttributes final : public AttributeSource {
 public:
  explicit FakeAttributes(std::map<std::string, std::string> values) : values_(std::move(values)) {}
  std::optional<std::string_view> Attribute(std::string_view name) const override {
    const auto at = values_.find(std::string(name));
    if (at == values_.end()) return std::nullopt;
    return at->second;
  }

 private:
  std::map<std::string, std::string> values_;
};

struct PatternCase {
  const char* pattern;
  const char* type;
  bool matches;
};

class TypePatternTest : public testing::TestWithParam<PatternCase> {};

TEST_P(TypePatternTest, MatchesAsDocumented) {
  const auto pattern = TypePattern::Parse("eventType", GetParam().pattern);
  ASSERT_TRUE(pattern.ok()) << pattern.status();
  EXPECT_EQ(pattern->Matches(GetParam().type), GetParam().matches)
      << GetParam().pattern << " on " << GetParam().type;
}

INSTANTIATE_TEST_SUITE_P(
    Table, TypePatternTest,
    testing::Values(
        PatternCase{"user.created", "user.created", true},
        PatternCase{"user.created", "user.created2", false},
        PatternCase{"user.*", "user.created", true}, PatternCase{"user.*", "user.", true},
        PatternCase{"user.*", "user", false}, PatternCase{"user.*", "user.a.b.c", true},
        PatternCase{"*.created", "user.created", true}, PatternCase{"*.created", "created", false},
        PatternCase{"a*b*c", "a--b--c", true}, PatternCase{"a*b*c", "abc", true},
        PatternCase{"a*b*c", "acb", false}, PatternCase{"a*bc*d", "abbcd", true},
        PatternCase{"aba*ba", "aba", false}, PatternCase{"*x*y*", "yx", false},
        PatternCase{"*x*y*", "1x2y3", true}, PatternCase{"*", "anything", true},
        PatternCase{"*", "penstock.deadletter", false},
        PatternCase{"*", "eventgateway.event.received", false}, PatternCase{"*", "penstocks", true},
        PatternCase{"penstock.*", "penstock.deadletter", true}));

TEST(TypePatternParseTest, RefusesWhatIsNoPatternAndNamesTheField) {
  for (const char* bad : {"", "a b", "a*b*c*d*e", "a\tb"}) {
    const auto pattern = TypePattern::Parse("eventType", bad);
    ASSERT_FALSE(pattern.ok()) << bad;
    EXPECT_EQ(FieldViolationsOf(pattern.status())[0].field, "eventType");
  }
  EXPECT_FALSE(TypePattern::Parse("eventType", std::string(257, 'a')).ok());
}

Filter Attributes(Filter::Kind kind, std::string name, std::string value) {
  return {kind, {{std::move(name), std::move(value)}}, {}};
}

TEST(FilterTest, EvaluatesEveryKind) {
  const FakeAttributes event({{"source", "/shop/eu"}, {"subject", "order-17"}});
  const Filter exact = Attributes(Filter::Kind::kExact, "source", "/shop/eu");
  const Filter prefix = Attributes(Filter::Kind::kPrefix, "source", "/shop");
  const Filter suffix = Attributes(Filter::Kind::kSuffix, "subject", "-18");
  EXPECT_TRUE(Holds(exact, event));
  EXPECT_TRUE(Holds(prefix, event));
  EXPECT_FALSE(Holds(suffix, event));
  EXPECT_FALSE(Holds({Filter::Kind::kAll, {}, {exact, suffix}}, event));
  EXPECT_TRUE(Holds({Filter::Kind::kAny, {}, {suffix, prefix}}, event));
  EXPECT_TRUE(Holds({Filter::Kind::kNot, {}, {suffix}}, event));
  EXPECT_FALSE(Holds(Attributes(Filter::Kind::kExact, "missing", "x"), event));
}

TEST(FilterTest, RefusesBadFiltersByTheirPath) {
  const auto field_of = [](std::vector<Filter> filters) {
    return FieldViolationsOf(CheckFilters(filters)).at(0).field;
  };
  EXPECT_EQ(field_of({{Filter::Kind::kExact, {}, {}}}), "filters[0].exact");
  EXPECT_EQ(field_of({Attributes(Filter::Kind::kPrefix, "Subject", "x")}), "filters[0].prefix");
  EXPECT_EQ(field_of({{Filter::Kind::kAny, {}, {Attributes(Filter::Kind::kExact, "subject", "")}}}),
            "filters[0].any[0].exact.subject");
  Filter deep = Attributes(Filter::Kind::kExact, "subject", "x");
  for (int i = 0; i < 8; ++i) deep = {Filter::Kind::kNot, {}, {deep}};
  EXPECT_FALSE(CheckFilters({deep}).ok());
  EXPECT_FALSE(
      CheckFilters(std::vector<Filter>(33, Attributes(Filter::Kind::kExact, "a", "x"))).ok());
}

Subscription Make(std::string uid, std::string type, std::string space = "default") {
  Subscription subscription;
  subscription.uid = std::move(uid);
  subscription.space = std::move(space);
  subscription.event_type = std::move(type);
  return subscription;
}

std::vector<std::string> Matches(const Matcher& matcher, const char* space, const char* type) {
  const FakeAttributes attributes(std::map<std::string, std::string>{{"subject", "x"}});
  std::vector<std::string> uids;
  matcher.Match({space, type, &attributes}, uids);
  return uids;
}

TEST(MatcherTest, FindsExactAndPatternSubscriptionsOfTheEventsSpace) {
  Matcher matcher;
  matcher.Set(Make("b", "user.created"));
  matcher.Set(Make("a", "user.*"));
  matcher.Set(Make("c", "user.created", "other"));
  matcher.Set(Make("d", "user.deleted"));
  EXPECT_EQ(Matches(matcher, "default", "user.created"), (std::vector<std::string>{"a", "b"}));
  EXPECT_EQ(Matches(matcher, "other", "user.created"), (std::vector<std::string>{"c"}));
  EXPECT_TRUE(Matches(matcher, "third", "user.created").empty());
}

TEST(MatcherTest, ReplacesAndRemovesByUid) {
  Matcher matcher;
  matcher.Set(Make("a", "one"));
  matcher.Set(Make("a", "two"));
  EXPECT_TRUE(Matches(matcher, "default", "one").empty());
  EXPECT_EQ(Matches(matcher, "default", "two").size(), 1u);
  matcher.Remove("a");
  EXPECT_TRUE(Matches(matcher, "default", "two").empty());
  EXPECT_EQ(matcher.size(), 0u);
}

}  // namespace
}  // namespace penstock::broker
