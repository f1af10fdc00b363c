#include "tools/penstock/input/documents.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <penstock/events/v1/subscription.pb.h>
#include <penstock/functions/v1/function.pb.h>

#include "libs/config/yaml.h"

namespace penstock::cli {
namespace {

using testing::HasSubstr;
using testing::StartsWith;

Documents Parse(const std::string& text) {
  Documents documents;
  ParseDocuments(text, "f.yaml", ".", "default", &documents);
  return documents;
}

std::string OnlyError(const std::string& text) {
  const Documents documents = Parse(text);
  EXPECT_TRUE(documents.documents.empty());
  EXPECT_EQ(documents.errors.size(), 1U);
  return documents.errors.empty() ? "" : std::string(documents.errors[0].message());
}

TEST(DocumentsTest, SeveralDocumentsKeepTheirLines) {
  const Documents documents = Parse(
      "# a comment\n---\nkind: Function\nname: a\nspec: {noop: {}}\n---\n\n"
      "kind: Subscription\nname: s\nspace: shop\nspec:\n  eventType: x.*\n  function: a\n---\n");
  ASSERT_TRUE(documents.errors.empty()) << documents.errors[0];
  ASSERT_EQ(documents.documents.size(), 2U);
  EXPECT_EQ(documents.documents[0].place, "f.yaml:3:1");
  EXPECT_EQ(documents.documents[1].place, "f.yaml:8:1");
  EXPECT_EQ(documents.documents[1].Label("default"), "Subscription s in space shop");
  const auto& subscription =
      static_cast<const events::v1::Subscription&>(*documents.documents[1].resource);
  EXPECT_EQ(subscription.name(), "spaces/shop/subscriptions/s");
  EXPECT_EQ(subscription.event_type(), "x.*");
}

TEST(DocumentsTest, JsonAndListsAreDocumentsToo) {
  const Documents documents = Parse(
      R"([{"kind": "Function", "metadata": {"name": "a", "team": "x"}, "spec": {"noop": {}}},
          {"name": "spaces/shop/functions/b", "noop": {}, "etag": "7"}])");
  ASSERT_TRUE(documents.errors.empty()) << documents.errors[0];
  ASSERT_EQ(documents.documents.size(), 2U);
  const auto& a = static_cast<const functions::v1::Function&>(*documents.documents[0].resource);
  EXPECT_EQ(a.metadata().at("team"), "x");
  EXPECT_EQ(a.metadata().size(), 1U);
  EXPECT_EQ(documents.documents[1].space, "shop");
  EXPECT_EQ(documents.documents[1].id, "b");
}

TEST(DocumentsTest, ErrorsSayLineAndField) {
  EXPECT_THAT(OnlyError("kind: Function\nname: a\nspec:\n  http:\n    url: 5\n"),
              StartsWith("f.yaml:5:5: http.url:"));
  EXPECT_THAT(OnlyError("kind: Subscription\nname: a\nspec:\n  filters:\n  - exact: {a: b}\n"
                        "  - exakt: {a: b}\n"),
              StartsWith("f.yaml:6:5: filters[1].exakt"));
  EXPECT_THAT(OnlyError("\nname: a\nspec: {}\n"),
              StartsWith("f.yaml:2:1: kind: expected Function"));
  EXPECT_THAT(OnlyError("kind: Fnction\nname: a\n"), HasSubstr("this is \"Fnction\""));
  EXPECT_THAT(OnlyError("kind: Function\nspec: {}\n"), HasSubstr("name: is missing"));
  EXPECT_THAT(OnlyError("kind: Function\nname: a/b\nspec: {}\n"), StartsWith("f.yaml:2:7: name"));
  EXPECT_THAT(OnlyError("kind: Function\nname: a\ncolor: red\nspec: {}\n"),
              StartsWith("f.yaml:3:1: color: not known"));
  EXPECT_THAT(OnlyError("kind: Function\nkind: Function\nname: a\n"), HasSubstr("twice"));
  EXPECT_THAT(OnlyError("just text\n"), HasSubstr("this is a single value"));
  EXPECT_THAT(OnlyError("kind: [\n"), StartsWith("f.yaml:"));
}

TEST(DocumentsTest, OneBadDocumentLeavesTheOthers) {
  const Documents documents = Parse(
      "kind: Function\nname: a\nspec: {noop: 1}\n---\nkind: Function\nname: b\nspec: {noop: {}}\n");
  EXPECT_EQ(documents.errors.size(), 1U);
  EXPECT_EQ(documents.documents.size(), 1U);
}

TEST(DocumentsTest, AMissingSourceFileIsNamedWithItsLine) {
  EXPECT_THAT(OnlyError("kind: Function\nname: a\nspec:\n  process:\n    runtime: python3\n"
                        "    sourceFile: no-such.py\n"),
              testing::AllOf(StartsWith("f.yaml:6:17: process.sourceFile:"),
                             HasSubstr("no-such.py: cannot be opened")));
}

TEST(DocumentsTest, ScalarsBecomeWhatJsonHas) {
  config::Problems problems;
  const config::Value value = config::ParseYaml(
      "a: 1\nb: '1'\nc: true\nd: yes\ne:\nf: 1.5e3\ng: 0x1F\nh: [~, -2, .5]\n", "x", problems);
  ASSERT_TRUE(problems.empty());
  EXPECT_EQ(
      ValueToJson(value),
      R"({"a":1,"b":"1","c":true,"d":"yes","e":null,"f":1.5e3,"g":"0x1F","h":[null,-2,".5"]})");
}

TEST(DocumentsTest, PlacesOfPathsFallBackToWhatIsAround) {
  config::Problems problems;
  const config::Value value = config::ParseYaml("a:\n  b.c:\n  - d: 1\n  - e: 2\n", "x", problems);
  EXPECT_EQ(FindPlace(value, "a[\"b.c\"][1].e").line, 4);
  EXPECT_EQ(FindPlace(value, "a[\"b.c\"][7]").line, 2);
  EXPECT_EQ(FindPlace(value, "a.zzz").line, 1);
  EXPECT_EQ(FindPlace(value, "").line, 1);
}

}  // namespace
}  // namespace penstock::cli
