// A strict pull reader over JSON text, for generated code (codec.h).
//
// It decides only whether a text is right, and stops at the first doubt without saying why: who
// gets false reads the text again with the reflection path, which knows the place and the words. So
// it may refuse what JsonDocument takes (numbers of unusual length), but takes nothing that
// JsonDocument refuses.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

#include "libs/protojson/json_tree.h"

namespace penstock::protojson {

// Walks through one text once, from left to right. Every call that returns bool consumes what it
// names, or returns false; unless its comment says otherwise the reader has failed() then, and all
// later calls return false. Not thread-safe.
class JsonReader {
 public:
  // `text` must outlive the reader. Containers nested above `max_depth` are refused.
  // `ignore_unknown_fields` is carried for the code that reads.
  explicit JsonReader(std::string_view text, int max_depth = kMaxDepth,
                      bool ignore_unknown_fields = false)
      : cursor_(text.data()),
        end_(text.data() + text.size()),
        depth_left_(max_depth),
        ignore_unknown_fields_(ignore_unknown_fields) {}

  bool failed() const { return failed_; }
  bool ignore_unknown_fields() const { return ignore_unknown_fields_; }
  // How many more containers may be opened here.
  int depth_left() const { return depth_left_; }

  // Marks the text as refused, for values that are JSON but not what is wanted. Returns false.
  bool Fail() {
    failed_ = true;
    return false;
  }

  // The first character of the next value: '{', '[', '"', 't', 'f', 'n', a digit or '-' when the
  // text is right. 0 at the end. Consumes white space only.
  char Peek();
  // Consumes null if it is next. False, without failing, if another value is.
  bool TakeNull();

  // Objects: BeginObject, then NextKey until it returns false (the end, or failed()), reading one
  // value after each key.
  bool BeginObject();
  // `key` is valid until the next string is read.
  bool NextKey(std::string_view* key);
  // Arrays: BeginArray, then NextElement until it returns false (the end, or failed()), reading one
  // value each time.
  bool BeginArray();
  bool NextElement();

  // The decoded characters, part of the text when there are no escapes; valid until the next string
  // is read. Always UTF-8.
  bool String(std::string_view* value);
  // The digits as written, checked against JSON's grammar only as far as they are plain: who uses
  // them must parse them with numbers.h.
  bool Number(std::string_view* digits);
  bool Bool(bool* value);

  // Consumes any value, checking all of it.
  bool Skip();
  // Like Skip, and gives the exact bytes of the value.
  bool Raw(std::string_view* json);

  // Whether nothing but white space is left and nothing failed.
  bool AtEnd();

 private:
  void SkipSpace() {
    while (cursor_ != end_ &&
           (*cursor_ == ' ' || *cursor_ == '\n' || *cursor_ == '\r' || *cursor_ == '\t')) {
      ++cursor_;
    }
  }
  bool Open(char bracket);
  // After an element or member: true when a comma says that there is another one.
  bool Next(char closing);
  bool Literal(std::string_view word);
  // Moves over characters that stand for themselves; false when they are not UTF-8.
  bool ScanPlain();
  // The rest of a string after its first escape; `start` is where its characters begin.
  bool DecodeString(const char* start, std::string_view* value);
  bool DecodeEscape();
  bool HexDigits(unsigned* unit);

  const char* cursor_;
  const char* const end_;
  int depth_left_;
  const bool ignore_unknown_fields_;
  bool failed_ = false;
  bool first_ = false;   // the innermost container was opened just now
  std::string decoded_;  // the last string with escapes
};

}  // namespace penstock::protojson
