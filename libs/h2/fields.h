// A block of header fields: a head, or trailers.
#pragma once

#include <cstddef>
#include <cstdint>
#include <iterator>
#include <string>
#include <string_view>
#include <vector>

namespace penstock::h2 {

// Fields in their order, pseudo fields (":path") included, names in lower case. All text lies in
// one buffer, so that a block costs two allocations at most. Values are raw: "-bin" values stay in
// Base64.
class Fields {
 public:
  struct Field {
    std::string_view name;
    std::string_view value;
  };

  // The names and values must be what HTTP/2 allows; nghttp2 checks those that it receives, not
  // those that it sends.
  void Add(std::string_view name, std::string_view value);

  // The value of the first field of that name; empty when there is none.
  std::string_view Get(std::string_view name) const;
  bool Has(std::string_view name) const;

  std::size_t size() const { return entries_.size(); }
  bool empty() const { return entries_.empty(); }
  // Views are valid until the next change.
  Field operator[](std::size_t index) const;

  // As SETTINGS_MAX_HEADER_LIST_SIZE counts: name, value and 32 for each field (RFC 9113, 6.5.2).
  std::size_t list_size() const { return text_.size() + 32 * entries_.size(); }

  void Clear();
  void Reserve(std::size_t fields, std::size_t text_bytes);

  class Iterator {
   public:
    Iterator(const Fields& fields, std::size_t index) : fields_(&fields), index_(index) {}
    Field operator*() const { return (*fields_)[index_]; }
    Iterator& operator++() {
      ++index_;
      return *this;
    }
    bool operator!=(const Iterator& other) const { return index_ != other.index_; }

   private:
    const Fields* fields_;
    std::size_t index_;
  };
  Iterator begin() const { return {*this, 0}; }
  Iterator end() const { return {*this, entries_.size()}; }

 private:
  struct Entry {
    std::uint32_t offset;
    std::uint32_t name_size;
    std::uint32_t value_size;
  };

  const Entry* Find(std::string_view name) const;

  std::string text_;
  std::vector<Entry> entries_;
};

}  // namespace penstock::h2
