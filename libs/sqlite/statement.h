// A prepared statement with checked binding and reading.
#pragma once

#include <concepts>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace penstock::sqlite {

class Connection;

// Marks bytes to be bound as a BLOB; a plain string_view is bound as TEXT. Copied when bound.
struct Blob {
  std::string_view bytes;
};

// Borrowed from its connection's cache; resets itself and forgets its values when destroyed, so
// that no open read pins the write-ahead log. Move-only, not thread-safe, must die before its
// Connection.
//
// Parameters count from 1, columns from 0. Binding mistakes are kept and returned by the next Step
// or Run.
class Statement {
 public:
  Statement(Statement&&) noexcept;
  Statement& operator=(Statement&&) noexcept;
  ~Statement();

  // Values are copied; nothing has to outlive the call.
  Statement& Bind(int parameter, std::string_view text);
  Statement& Bind(int parameter, Blob blob);
  Statement& Bind(int parameter, double value);
  Statement& Bind(int parameter, std::nullptr_t);
  template <std::integral Integer>
  Statement& Bind(int parameter, Integer value) {
    return BindInteger(parameter, static_cast<std::int64_t>(value));
  }
  template <typename Value>
  Statement& Bind(int parameter, const std::optional<Value>& value) {
    return value ? Bind(parameter, *value) : Bind(parameter, nullptr);
  }

  // Binds parameters 1, 2, … in order.
  template <typename... Values>
  Statement& BindAll(const Values&... values) {
    int parameter = 0;
    (Bind(++parameter, values), ...);
    return *this;
  }

  // Advances to the next row: true when there is one to read, false at the end.
  absl::StatusOr<bool> Step();

  // Runs a statement that returns no rows, and makes it ready to bind again.
  absl::Status Run();

  // Calls `row` for each row until it returns an error, which is passed on; makes the statement
  // ready to bind again.
  absl::Status ForEach(const std::function<absl::Status(const Statement& row)>& row);

  // Makes the statement ready to run again and forgets its values.
  void Reset();

  // Columns of the current row, after Step returned true. A column that does not exist reads as
  // NULL; NULL reads as 0 and as empty. Text and Bytes point into the row: valid until the next
  // Step, Run or Reset.
  bool IsNull(int column) const;
  std::int64_t Int(int column) const;
  double Double(int column) const;
  std::string_view Text(int column) const;
  std::string_view Bytes(int column) const;
  std::string String(int column) const { return std::string(Text(column)); }
  int columns() const;

 private:
  friend class Connection;
  struct Impl;
  explicit Statement(std::unique_ptr<Impl> impl);
  Statement& BindInteger(int parameter, std::int64_t value);

  std::unique_ptr<Impl> impl_;
};

}  // namespace penstock::sqlite
