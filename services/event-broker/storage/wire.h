// Little-endian numbers in byte strings.
#pragma once

#include <bit>
#include <cstdint>
#include <cstring>
#include <string>
#include <string_view>
#include <type_traits>

namespace penstock::broker {

static_assert(std::endian::native == std::endian::little,
              "the log's files are little-endian and are read and written without conversion");

// Appends the bytes of `value`.
template <typename T>
void Put(std::string& out, T value) {
  static_assert(std::is_integral_v<T>);
  out.append(reinterpret_cast<const char*>(&value), sizeof value);
}

// Overwrites bytes at `at`.
template <typename T>
void Store(char* at, T value) {
  static_assert(std::is_integral_v<T>);
  std::memcpy(at, &value, sizeof value);
}

template <typename T>
T Load(const char* at) {
  static_assert(std::is_integral_v<T>);
  T value;
  std::memcpy(&value, at, sizeof value);
  return value;
}

// Takes values off the front of a byte string. After reading past the end `ok` is false and values
// are 0.
class WireReader {
 public:
  explicit WireReader(std::string_view bytes) : bytes_(bytes) {}

  template <typename T>
  T Get() {
    const std::string_view raw = Bytes(sizeof(T));
    return ok_ ? Load<T>(raw.data()) : T{};
  }
  std::string_view Bytes(std::size_t size) {
    if (!ok_ || size > bytes_.size()) {
      ok_ = false;
      return {};
    }
    const std::string_view out = bytes_.substr(0, size);
    bytes_.remove_prefix(size);
    return out;
  }
  bool ok() const { return ok_; }
  std::size_t left() const { return bytes_.size(); }

 private:
  std::string_view bytes_;
  bool ok_ = true;
};

}  // namespace penstock::broker
