#include "libs/sqlite/database.h"

#include <utility>

#include "libs/base/status.h"

namespace penstock::sqlite {

absl::StatusOr<std::unique_ptr<Database>> Database::Open(Options options) {
  ASSIGN_OR_RETURN(auto connection, Connection::OpenAndMigrate(options.open, options.schema));
  std::unique_ptr<Database> database(new Database());
  database->open_ = options.open;
  ASSIGN_OR_RETURN(database->readers_, ReaderPool::Open(options.open, options.readers));
  database->writer_ = std::make_unique<Writer>(std::move(connection), options.writer);
  return database;
}

Database::~Database() { Stop(); }

absl::Status Database::Backup(const std::string& target_path) {
  OpenOptions open = open_;
  open.read_only = true;
  ASSIGN_OR_RETURN(const auto connection, Connection::Open(std::move(open)));
  return connection->Backup(target_path);
}

void Database::Stop() {
  if (readers_) readers_->Stop();
  if (writer_) writer_->Stop();
}

}  // namespace penstock::sqlite
