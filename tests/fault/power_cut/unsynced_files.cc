#include "tests/fault/power_cut/unsynced_files.h"

#include "libs/base/status.h"

namespace penstock::broker {
namespace {

class UnsyncedFile final : public File {
 public:
  explicit UnsyncedFile(std::unique_ptr<File> file) : file_(std::move(file)) {}
  absl::Status WriteAt(std::uint64_t offset, std::span<const std::string_view> pieces) override {
    return file_->WriteAt(offset, pieces);
  }
  absl::StatusOr<std::size_t> ReadAt(std::uint64_t offset, char* out, std::size_t size) override {
    return file_->ReadAt(offset, out, size);
  }
  absl::Status Sync() override { return absl::OkStatus(); }
  absl::Status Truncate(std::uint64_t size) override { return file_->Truncate(size); }
  absl::Status Allocate(std::uint64_t size) override { return file_->Allocate(size); }
  absl::StatusOr<std::uint64_t> Size() override { return file_->Size(); }
  void DropCache(std::uint64_t offset, std::uint64_t size) override {
    file_->DropCache(offset, size);
  }

 private:
  const std::unique_ptr<File> file_;
};

class UnsyncedFolder final : public Folder {
 public:
  explicit UnsyncedFolder(std::unique_ptr<Folder> folder) : folder_(std::move(folder)) {}
  absl::StatusOr<std::unique_ptr<File>> Create(const std::string& name) override {
    ASSIGN_OR_RETURN(auto file, folder_->Create(name));
    return std::make_unique<UnsyncedFile>(std::move(file));
  }
  absl::StatusOr<std::unique_ptr<File>> Open(const std::string& name, OpenMode mode) override {
    ASSIGN_OR_RETURN(auto file, folder_->Open(name, mode));
    return std::make_unique<UnsyncedFile>(std::move(file));
  }
  absl::StatusOr<std::vector<std::string>> List() override { return folder_->List(); }
  absl::Status Unlink(const std::string& name) override { return folder_->Unlink(name); }
  absl::Status Rename(const std::string& from, const std::string& to) override {
    return folder_->Rename(from, to);
  }
  absl::Status Sync() override { return folder_->Sync(); }

 private:
  const std::unique_ptr<Folder> folder_;
};

}  // namespace

absl::StatusOr<std::unique_ptr<Folder>> UnsyncedFiles::OpenFolder(const std::string& path) {
  ASSIGN_OR_RETURN(auto folder, files_.OpenFolder(path));
  return std::make_unique<UnsyncedFolder>(std::move(folder));
}

}  // namespace penstock::broker
