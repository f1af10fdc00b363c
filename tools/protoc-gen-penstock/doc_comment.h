// What the comments of contracts say, as the API description repeats it.
#pragma once

#include <google/protobuf/descriptor.h>

#include <string>
#include <string_view>
#include <vector>

namespace penstock::protoc_gen {

// The comment before a declaration: lines joined, paragraphs apart. Empty when there is none, and
// for files that protoc was given without their source.
template <typename Declaration>
std::string CommentOf(const Declaration& declaration);

// The sentences of a text with their full stops.
std::vector<std::string> Sentences(std::string_view text);

// The first sentence without its full stop: a headline.
std::string Headline(std::string_view text);

// Whether `sentence` is one of the text: "Required.", "Output only.".
bool Says(std::string_view text, std::string_view sentence);

// What the text gives as an example: X in "for example `X`". Empty when it gives none.
std::string ExampleIn(std::string_view text);

// What the text calls the segments of a path: of `spaces/{space}/functions/{function}`, written so
// in back quotes, the names "", "space", "", "function" when `literals` is {"spaces", "",
// "functions", ""}. Empty when no such path is in it.
std::vector<std::string> SegmentNames(std::string_view text,
                                      const std::vector<std::string>& literals);

}  // namespace penstock::protoc_gen
