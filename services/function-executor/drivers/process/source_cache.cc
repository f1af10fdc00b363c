#include "services/function-executor/drivers/process/source_cache.h"

#include <sys/stat.h>

#include <filesystem>
#include <fstream>
#include <system_error>

#include "fmt/format.h"
#include "libs/archive/unpack.h"
#include "libs/base/sha256.h"
#include "libs/base/status.h"

namespace penstock::executor {
namespace {

namespace fs = std::filesystem;

// Of starts that wait for their source.
constexpr std::size_t kQueueMax = 1U << 16;

// What a file or folder takes beside its content.
constexpr std::int64_t kBlockBytes = 4096;

absl::Status FileError(std::string_view action, const fs::path& path,
                       const std::error_code& error) {
  return absl::UnavailableError(
      fmt::format("cannot {} {}: {}", action, path.string(), error.message()));
}

absl::Status EmptyFolder(const fs::path& path) {
  std::error_code error;
  fs::remove_all(path, error);
  if (!error) fs::create_directories(path, error);
  return error ? FileError("make the folder", path, error) : absl::OkStatus();
}

// Of a file, or of all in a folder.
std::int64_t BytesOf(const fs::path& path) {
  std::error_code error;
  if (!fs::is_directory(path, error)) return static_cast<std::int64_t>(fs::file_size(path, error));
  std::int64_t bytes = 0;
  for (fs::recursive_directory_iterator it(path, error), end; !error && it != end;
       it.increment(error)) {
    std::error_code ignored;
    bytes += kBlockBytes;
    if (it->is_regular_file(ignored)) bytes += static_cast<std::int64_t>(it->file_size(ignored));
  }
  return bytes;
}

}  // namespace

SourceCache::SourceCache(std::string folder, SourceFetcher* fetcher, std::int64_t unused_bytes_max)
    : folder_(std::move(folder)),
      fetcher_(fetcher),
      unused_bytes_max_(unused_bytes_max),
      thread_(std::make_shared<WorkerPool>(
          WorkerPool::Options{.name = "process-sources", .threads = 1, .queue_max = kQueueMax})) {
  // An error shows again when the first source is put there.
  (void)thread_->TryPost([folder = folder_] { EmptyFolder(folder).IgnoreError(); });
}

SourceCache::~SourceCache() { Stop(); }

std::string SourceCache::PathOf(const Key& key) const {
  return fmt::format("{}/{}.{}", folder_, key.digest, key.is_archive ? "folder" : "file");
}

void SourceCache::Acquire(const std::shared_ptr<const FunctionSpec>& function, Done done) {
  auto shared = std::make_shared<Done>(std::move(done));
  if (!thread_->TryPost([this, function, shared] { (*shared)(Get(*function)); })) {
    (*shared)(absl::UnavailableError("the executor is stopping, or too many sources are fetched"));
  }
}

absl::StatusOr<SourceCache::Held> SourceCache::Get(const FunctionSpec& function) {
  const auto& target = std::get<ProcessTarget>(function.target);
  const Key key{target.source_digest, target.source_is_archive()};
  if (!entries_.contains(key)) {
    absl::Status loaded = Load(function.space, key);
    // Perhaps the disk is full, of what nobody uses.
    if (absl::IsUnavailable(loaded) && RemoveUnused(0)) loaded = Load(function.space, key);
    RETURN_IF_ERROR(loaded);
    entries_[key].bytes = BytesOf(PathOf(key));
  }
  Entry& entry = entries_[key];
  Held held = entry.held.lock();
  if (held) return held;
  entry.let_go = ++let_go_;  // Once more when that is known.
  // The last pool that lets it go may do so on any thread, and late.
  held = Held(new Source{PathOf(key)},
              [this, key, weak = std::weak_ptr<WorkerPool>(thread_)](const Source* source) {
                delete source;
                if (const auto thread = weak.lock())
                  (void)thread->TryPost([this, key] { OnLetGo(key); });
              });
  entry.held = held;
  return held;
}

absl::Status SourceCache::FetchFile(const std::string& space, const std::string& digest,
                                    const std::string& path) {
  if (fetcher_ == nullptr) return absl::UnavailableError("sources cannot be fetched here");
  std::ofstream file(path, std::ios::binary | std::ios::trunc);
  Sha256 sum;
  absl::Status fetched =
      fetcher_->Fetch(space, digest, [&](std::string_view bytes) -> absl::Status {
        sum.Update(bytes);
        file.write(bytes.data(), static_cast<std::streamsize>(bytes.size()));
        if (file) return absl::OkStatus();
        return absl::UnavailableError(fmt::format("cannot write {}", path));
      });
  file.close();
  if (!fetched.ok()) {
    return absl::UnavailableError(fmt::format("the function's source {} cannot be fetched: {}",
                                              digest, std::string(fetched.message())));
  }
  if (!file) return absl::UnavailableError(fmt::format("cannot write {}", path));
  const std::string got = sum.Hex();
  if (got == digest) return absl::OkStatus();
  return absl::DataLossError(fmt::format(
      "the source that came for the digest {} has another, {}: it is not run", digest, got));
}

absl::Status SourceCache::Load(const std::string& space, const Key& key) {
  const std::string file = fmt::format("{}/fetched", folder_);
  const std::string unpacked = fmt::format("{}/unpacked", folder_);
  std::error_code error;
  fs::create_directories(folder_, error);
  if (error) return FileError("make the folder", folder_, error);
  absl::Status status = FetchFile(space, key.digest, file);
  if (status.ok() && key.is_archive) {
    status = EmptyFolder(unpacked);
    if (status.ok()) status = archive::Unpack(file, unpacked);
  }
  if (status.ok()) {
    fs::rename(key.is_archive ? unpacked : file, PathOf(key), error);
    if (error) status = FileError("rename", file, error);
  }
  std::error_code ignored;
  fs::remove_all(unpacked, ignored);
  fs::remove(file, ignored);
  return status;
}

void SourceCache::OnLetGo(const Key& key) {
  const auto found = entries_.find(key);
  if (found == entries_.end()) return;
  found->second.let_go = ++let_go_;
  RemoveUnused(unused_bytes_max_);
}

bool SourceCache::RemoveUnused(std::int64_t bytes_max) {
  std::map<std::uint64_t, Key> unused;
  std::int64_t bytes = 0;
  for (const auto& [key, entry] : entries_) {
    if (!entry.held.expired()) continue;
    unused.emplace(entry.let_go, key);
    bytes += entry.bytes;
  }
  bool has_removed = false;
  for (const auto& [let_go, key] : unused) {
    if (bytes <= bytes_max) break;
    std::error_code ignored;  // What stays is removed with the folder.
    fs::remove_all(PathOf(key), ignored);
    bytes -= entries_[key].bytes;
    entries_.erase(key);
    has_removed = true;
  }
  return has_removed;
}

void SourceCache::EndFetches() {
  if (fetcher_ != nullptr) fetcher_->Stop();
}

void SourceCache::Stop() {
  EndFetches();
  thread_->Stop();
  std::error_code ignored;
  fs::remove_all(folder_, ignored);
}

}  // namespace penstock::executor
