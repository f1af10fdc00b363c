#include "libs/sqlite/statement.h"

#include <fmt/format.h>

#include <utility>

#include "libs/base/callback_guard.h"
#include "libs/base/status.h"
#include "libs/sqlite/internal.h"

namespace penstock::sqlite {

Statement::Impl::Impl(Connection::Impl& home, std::string_view sql)
    : connection(home), statement(home.database, std::string(sql)) {}

absl::Status Statement::Impl::LastError() const {
  return StatusOf(statement.getExtendedErrorCode(), statement.getErrorMsg());
}

Statement::Statement(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Statement::Statement(Statement&&) noexcept = default;

Statement& Statement::operator=(Statement&& other) noexcept {
  std::swap(impl_, other.impl_);  // What this held goes back to its cache with `other`.
  return *this;
}

Statement::~Statement() {
  if (!impl_) return;
  Reset();
  Connection::Impl& home = impl_->connection;
  home.Recycle(std::move(impl_));
}

namespace {

template <typename Body>
void BindGuarded(absl::Status& first_error, int parameter, const Body& body) {
  if (!first_error.ok()) return;
  first_error = Guarded([&] {
    body();
    return absl::OkStatus();
  });
  if (first_error.ok()) return;
  first_error = absl::InternalError(
      fmt::format("binding parameter {}: {}", parameter,
                  std::string_view(first_error.message().data(), first_error.message().size())));
}

}  // namespace

Statement& Statement::Bind(int parameter, std::string_view text) {
  BindGuarded(impl_->bind_error, parameter,
              [&] { impl_->statement.bind(parameter, std::string(text)); });
  return *this;
}

Statement& Statement::Bind(int parameter, Blob blob) {
  // A null pointer would bind NULL instead of an empty blob.
  const void* data = blob.bytes.empty() ? "" : blob.bytes.data();
  BindGuarded(impl_->bind_error, parameter,
              [&] { impl_->statement.bind(parameter, data, static_cast<int>(blob.bytes.size())); });
  return *this;
}

Statement& Statement::Bind(int parameter, double value) {
  BindGuarded(impl_->bind_error, parameter, [&] { impl_->statement.bind(parameter, value); });
  return *this;
}

Statement& Statement::Bind(int parameter, std::nullptr_t) {
  BindGuarded(impl_->bind_error, parameter, [&] { impl_->statement.bind(parameter); });
  return *this;
}

Statement& Statement::BindInteger(int parameter, std::int64_t value) {
  BindGuarded(impl_->bind_error, parameter, [&] { impl_->statement.bind(parameter, value); });
  return *this;
}

absl::StatusOr<bool> Statement::Step() {
  AssertMayBlock("sqlite");
  if (!impl_->bind_error.ok()) return impl_->bind_error;
  if (impl_->statement.isDone()) return false;
  const int code = impl_->statement.tryExecuteStep();
  if (code == SQLITE_ROW) return true;
  if (code == SQLITE_DONE) return false;
  absl::Status error = impl_->LastError();
  return error.ok() ? absl::InternalError(fmt::format("database: step gave {}", code)) : error;
}

absl::Status Statement::Run() {
  const absl::StatusOr<bool> row = Step();
  absl::Status status = row.status();
  if (row.ok() && *row) {
    status = absl::InternalError("database: a statement that was run gave a row");
  }
  Reset();
  return status;
}

absl::Status Statement::ForEach(const std::function<absl::Status(const Statement& row)>& row) {
  absl::Status status;
  while (status.ok()) {
    const absl::StatusOr<bool> stepped = Step();
    status = stepped.status();
    if (!stepped.ok() || !*stepped) break;
    status = row(*this);
  }
  Reset();
  return status;
}

void Statement::Reset() {
  impl_->statement.tryReset();  // It repeats the error of the last step, which was reported then.
  Guarded([&] {
    impl_->statement.clearBindings();
    return absl::OkStatus();
  }).IgnoreError();
  impl_->bind_error = absl::OkStatus();
}

namespace {

// False for NULL as well.
bool HasValue(const SQLite::Statement& statement, int column) {
  return statement.hasRow() && column >= 0 && column < statement.getColumnCount() &&
         !statement.isColumnNull(column);
}

}  // namespace

bool Statement::IsNull(int column) const { return !HasValue(impl_->statement, column); }

std::int64_t Statement::Int(int column) const {
  return HasValue(impl_->statement, column) ? impl_->statement.getColumn(column).getInt64() : 0;
}

double Statement::Double(int column) const {
  return HasValue(impl_->statement, column) ? impl_->statement.getColumn(column).getDouble() : 0;
}

std::string_view Statement::Text(int column) const {
  if (!HasValue(impl_->statement, column)) return {};
  const SQLite::Column value = impl_->statement.getColumn(column);
  const char* text = value.getText();  // Before getBytes, which counts the form read last.
  return {text, static_cast<std::size_t>(value.getBytes())};
}

std::string_view Statement::Bytes(int column) const {
  if (!HasValue(impl_->statement, column)) return {};
  const SQLite::Column value = impl_->statement.getColumn(column);
  const void* bytes = value.getBlob();
  if (bytes == nullptr) return {};
  return {static_cast<const char*>(bytes), static_cast<std::size_t>(value.getBytes())};
}

int Statement::columns() const { return impl_->statement.getColumnCount(); }

}  // namespace penstock::sqlite
