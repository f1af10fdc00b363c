#include "tools/protoc-gen-penstock/doc_comment.h"

#include <gmock/gmock.h>

namespace penstock::protoc_gen {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

TEST(DocCommentTest, TellsSentencesApart) {
  EXPECT_THAT(Sentences("One. At 1.5 s it ends.\n\nTwo: `a.b`. Three"),
              ElementsAre("One.", "At 1.5 s it ends.", "Two: `a.b`.", "Three"));
  EXPECT_THAT(Sentences(""), IsEmpty());
  EXPECT_EQ(Headline("Reads a book. NOT_FOUND when there is none."), "Reads a book");
  EXPECT_EQ(Headline(""), "");
  EXPECT_TRUE(Says("The id. Required.", "Required."));
  EXPECT_FALSE(Says("The id. Required unless it is known.", "Required."));
}

TEST(DocCommentTest, FindsExamples) {
  EXPECT_EQ(ExampleIn("The type, for example `a/b`; more."), "a/b");
  EXPECT_EQ(ExampleIn("The type."), "");
}

TEST(DocCommentTest, FindsTheNamesOfSegments) {
  const std::vector<std::string> path = {"spaces", "", "functions", ""};
  EXPECT_THAT(SegmentNames("In `x`: `spaces/{space}/functions/{function}`. Required.", path),
              ElementsAre("", "space", "", "function"));
  EXPECT_THAT(SegmentNames("`spaces/{space}`", path), IsEmpty());
  EXPECT_THAT(SegmentNames("`spaces/{space}/secrets/{secret}`", path), IsEmpty());
  EXPECT_THAT(SegmentNames("`spaces/{space}/functions/{function}", path), IsEmpty());
}

}  // namespace
}  // namespace penstock::protoc_gen
