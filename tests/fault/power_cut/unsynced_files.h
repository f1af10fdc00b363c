// Files whose syncs do nothing: what a test of durability must notice.
#pragma once

#include <memory>
#include <string>

#include "services/event-broker/ports/file_system.h"

namespace penstock::broker {

// Passes everything on to `files`, which must outlive it, but File::Sync, which only claims
// success.
class UnsyncedFiles final : public FileSystem {
 public:
  explicit UnsyncedFiles(FileSystem& files) : files_(files) {}
  absl::StatusOr<std::unique_ptr<Folder>> OpenFolder(const std::string& path) override;

 private:
  FileSystem& files_;
};

}  // namespace penstock::broker
