#include "services/gateway/domain/revision_memory.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace penstock::gateway {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

TEST(ParseRevisionTest, ReadsServiceAndNumber) {
  const auto revision = ParseRevision("event-broker:17");
  ASSERT_TRUE(revision.ok()) << revision.status();
  EXPECT_EQ(revision->service, "event-broker");
  EXPECT_EQ(revision->number, 17);
  EXPECT_EQ(revision->ToString(), "event-broker:17");
}

TEST(ParseRevisionTest, RefusesWhatIsNoRevision) {
  for (const char* text : {"", ":", "a:", ":1", "a:-1", "a:1x", "a b:1", "A:1", "a:1:2",
                           "a:99999999999999999999", "a\n:1"}) {
    EXPECT_FALSE(ParseRevision(text).ok()) << text;
  }
}

TEST(ParseRevisionsTest, ReadsAListAndNamesTheHeader) {
  const auto revisions = ParseRevisions("a:1, b:2,c:3");
  ASSERT_TRUE(revisions.ok());
  EXPECT_EQ(revisions->size(), 3u);
  EXPECT_TRUE(ParseRevisions("")->empty());
  const auto bad = ParseRevisions("a:1,,b:2");
  ASSERT_FALSE(bad.ok());
  EXPECT_THAT(std::string(bad.status().message()), HasSubstr("Penstock-Revision"));
}

TEST(ParseRevisionsTest, RefusesEndlessLists) {
  std::string text = "a:1";
  for (int i = 0; i < 20; ++i) text += ",a:1";
  EXPECT_FALSE(ParseRevisions(text).ok());
}

TEST(RevisionMemoryTest, KeepsTheHighestOfEachServiceAndSpace) {
  RevisionMemory memory;
  memory.Remember("s1", {"broker", 5});
  memory.Remember("s1", {"broker", 3});
  memory.Remember("s1", {"manager", 9});
  memory.Remember("s2", {"broker", 1});
  EXPECT_THAT(memory.For("s1", {}), ElementsAre("broker:5", "manager:9"));
  EXPECT_THAT(memory.For("s2", {}), ElementsAre("broker:1"));
  EXPECT_THAT(memory.For("s3", {}), IsEmpty());
}

TEST(RevisionMemoryTest, AddsWhatTheClientEchoes) {
  RevisionMemory memory;
  memory.Remember("s", {"broker", 5});
  EXPECT_THAT(memory.For("s", {{"broker", 8}, {"manager", 2}}),
              ElementsAre("broker:8", "manager:2"));
  EXPECT_THAT(memory.For("s", {{"broker", 2}}), ElementsAre("broker:5"));
}

TEST(RevisionMemoryTest, RemembersABoundedNumberOfSpaces) {
  RevisionMemory memory(2);
  memory.Remember("a", {"x", 1});
  memory.Remember("b", {"x", 1});
  memory.Remember("c", {"x", 1});
  EXPECT_THAT(memory.For("c", {}), ElementsAre("x:1"));
  const std::size_t known = memory.For("a", {}).size() + memory.For("b", {}).size();
  EXPECT_EQ(known, 1u);
}

}  // namespace
}  // namespace penstock::gateway
