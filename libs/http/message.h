// HTTP messages as plain values, with no trace of the library that reads and writes them.
#pragma once

#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"

namespace penstock::http {

// An ordered multi-map of header fields; names compare without case. All bytes live in one string,
// so a message's head costs two allocations. Views into it are valid until the next change.
class Headers {
 public:
  struct Field {
    std::string_view name;
    std::string_view value;
  };

  Headers() = default;
  Headers(std::initializer_list<Field> fields);

  // The value of the first field called `name`, or empty when there is none.
  std::string_view Get(std::string_view name) const;
  // As Get, and tells absence from emptiness.
  std::optional<std::string_view> Find(std::string_view name) const;
  bool Has(std::string_view name) const;
  // All values of `name`, in order.
  std::vector<std::string_view> GetAll(std::string_view name) const;
  // True when the comma-separated list in the fields called `name` has `token`, without case.
  bool HasToken(std::string_view name, std::string_view token) const;

  // Room for so many fields, and so many bytes of their names and values, before more memory is
  // taken.
  void Reserve(std::size_t fields, std::size_t bytes);
  // Appends a field. The views may point into this object.
  void Add(std::string_view name, std::string_view value);
  // Replaces all fields called `name` by one at the end.
  void Set(std::string_view name, std::string_view value);
  // Removes all fields called `name`; returns how many.
  std::size_t Remove(std::string_view name);
  void Clear();

  std::size_t size() const { return fields_.size(); }
  bool empty() const { return fields_.empty(); }
  Field operator[](std::size_t index) const;

  class Iterator {
   public:
    Iterator(const Headers* headers, std::size_t index) : headers_(headers), index_(index) {}
    Field operator*() const { return (*headers_)[index_]; }
    Iterator& operator++() {
      ++index_;
      return *this;
    }
    bool operator==(const Iterator& other) const { return index_ == other.index_; }

   private:
    const Headers* headers_;
    std::size_t index_;
  };
  Iterator begin() const { return {this, 0}; }
  Iterator end() const { return {this, fields_.size()}; }

 private:
  struct Slot {
    std::uint32_t offset;
    std::uint32_t name_size;
    std::uint32_t value_size;
  };
  std::string bytes_;
  std::vector<Slot> fields_;
};

// True when `a` and `b` are equal but for the case of ASCII letters.
bool EqualsIgnoreCase(std::string_view a, std::string_view b);

// Whether `token`, in any case, is one of a field's comma-separated ones.
bool ListsToken(std::string_view list, std::string_view token);

// A request as a server received it.
struct Request {
  std::string method;
  // Origin form, still percent-encoded: "/a%20b?c=d"; "*" for OPTIONS.
  std::string target;
  Headers headers;
  std::string body;
  // The numeric address of the peer, without port.
  std::string remote_address;
  std::uint16_t remote_port = 0;
  bool is_tls = false;
  // True for HTTP/1.0, which knows no chunks and closes after the answer unless told otherwise.
  bool is_http_1_0 = false;

  // The part of `target` before the first '?', still percent-encoded.
  std::string_view path() const { return std::string_view(target).substr(0, target.find('?')); }
  // The part of `target` after the first '?', still percent-encoded; empty without one.
  std::string_view query() const {
    const std::size_t mark = target.find('?');
    return mark == std::string::npos ? std::string_view()
                                     : std::string_view(target).substr(mark + 1);
  }
};

// A whole answer. The server adds Content-Length, Connection and Date, and ignores them in
// `headers`; fields whose name or value could break the framing turn the answer into a 500.
struct Response {
  int status = 200;
  Headers headers;
  std::string body;

  static Response Json(int status, std::string json);
  static Response Text(int status, std::string text);
};

// The standard reason phrase, or "Unknown".
std::string_view ReasonPhrase(int status);

// `error` as google.rpc.Status JSON without details:
// {"code":3,"status":"INVALID_ARGUMENT","message":"…","details":[]}.
Response ErrorResponse(int http_status, const absl::Status& error);

// True when `name` is a token of RFC 9110 and `value` holds no control byte but TAB.
bool IsValidHeader(std::string_view name, std::string_view value);

}  // namespace penstock::http
