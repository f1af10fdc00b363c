// Sources as files.
#pragma once

#include <atomic>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <mutex>
#include <set>
#include <string>

#include "services/function-manager/ports/source_store.h"

namespace penstock::functions {

// Keeps each source as `<folder>/<space>/<digest>`. An upload is written to `<folder>/up`,
// synced, and renamed, so that a source is there whole or not at all.
class FileSourceStore final : public SourceStore {
 public:
  struct Options {
    std::string folder;  // Of the store's own; made when missing.
    std::int64_t source_bytes_max = std::int64_t{64} << 20;
    int uploads_max = 16;  // At the same time.
  };

  // Removes the uploads that an earlier process left unfinished.
  static absl::StatusOr<std::unique_ptr<FileSourceStore>> Open(Options options);

  absl::StatusOr<std::unique_ptr<Upload>> Begin(const std::string& space) override;
  absl::StatusOr<std::unique_ptr<SourceStore::Reader>> Open(const SourceName& name) override;
  absl::StatusOr<bool> Exists(const SourceName& name) override;
  absl::StatusOr<std::map<std::string, bool>> List(const SourceName& name) override;
  absl::StatusOr<int> Sweep(const std::set<SourceName>& used, WallTime uploaded_before) override;

 private:
  class FileUpload;

  explicit FileSourceStore(Options options) : options_(std::move(options)) {}

  std::filesystem::path UploadsFolder() const;
  std::filesystem::path PathOf(const SourceName& name) const;
  absl::Status Publish(const std::string& upload, const SourceName& name);

  const Options options_;
  std::atomic<int> uploads_{0};
  // A sweep must not delete what an upload has just renewed.
  std::mutex mutex_;
};

}  // namespace penstock::functions
