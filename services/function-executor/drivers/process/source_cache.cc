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

}  // namespace

SourceCache::SourceCache(std::string folder, SourceFetcher* fetcher)
    : folder_(std::move(folder)),
      fetcher_(fetcher),
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
  const auto found = entries_.find(key);
  if (found == entries_.end()) RETURN_IF_ERROR(Load(function.space, key));
  Entry& entry = entries_[key];
  entry.names.emplace(function.uid, function.version);
  Held held = entry.held.lock();
  if (held) return held;
  // The last pool that lets it go makes room for others; that may be on any thread, and late.
  held = Held(new Source{PathOf(key)},
              [this, weak = std::weak_ptr<WorkerPool>(thread_)](const Source* source) {
                delete source;
                if (const auto thread = weak.lock())
                  (void)thread->TryPost([this] { RemoveUnused(); });
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

void SourceCache::RemoveUnused() {
  for (auto it = entries_.begin(); it != entries_.end();) {
    if (!it->second.names.empty() || !it->second.held.expired()) {
      ++it;
      continue;
    }
    std::error_code ignored;  // What stays is removed with the folder.
    fs::remove_all(PathOf(it->first), ignored);
    it = entries_.erase(it);
  }
}

void SourceCache::Forget(const std::string& uid, std::int64_t version) {
  (void)thread_->TryPost([this, uid, version] {
    for (auto& [key, entry] : entries_) {
      std::erase_if(entry.names, [&](const Version& name) {
        return name.first == uid && name.second < version;
      });
    }
    RemoveUnused();
  });
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
