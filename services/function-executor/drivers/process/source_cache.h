// The sources that functions name by digest, on disk.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "libs/base/worker_pool.h"
#include "services/function-executor/domain/invocation.h"
#include "services/function-executor/ports/source_fetcher.h"

namespace penstock::executor {

// Fetches a source once, verifies its digest, and keeps it, unpacked where it is an archive, while
// a pool uses it; and of those that none uses the ones used last. Thread-safe: all state lives on a
// thread of its own, which blocks.
class SourceCache {
 public:
  // What a pool uses: it keeps the source from being deleted. `path` is a file, or a folder that is
  // nobody's to write to.
  struct Source {
    std::string path;
  };
  using Held = std::shared_ptr<const Source>;
  using Done = std::function<void(absl::StatusOr<Held>)>;

  // `folder` is the cache's own: what is in it is removed at once. `fetcher`, null where there is
  // none, must outlive this object.
  // Of what no pool uses, `unused_bytes_max` stay.
  SourceCache(std::string folder, SourceFetcher* fetcher, std::int64_t unused_bytes_max);
  // Stops as Stop() does.
  ~SourceCache();

  // Calls `done` on the cache's thread, or at once with UNAVAILABLE after Stop. INVALID_ARGUMENT
  // blames the function: a digest that is not the content's, an archive that is refused.
  void Acquire(const std::shared_ptr<const FunctionSpec>& function, Done done);

  // Ends a fetch that runs, and fails those that follow. Never blocks.
  void EndFetches();

  // Ends a fetch that runs, waits, and removes the folder. Blocks. Idempotent.
  void Stop();

 private:
  // A source as one file and unpacked are two entries.
  struct Key {
    std::string digest;
    bool is_archive = false;
    friend auto operator<=>(const Key&, const Key&) = default;
  };
  struct Entry {
    std::int64_t bytes = 0;  // On disk.
    std::weak_ptr<const Source> held;
    std::uint64_t let_go = 0;  // Rises with each source that no pool uses any more.
  };

  absl::StatusOr<Held> Get(const FunctionSpec& function);
  absl::Status FetchFile(const std::string& space, const std::string& digest,
                         const std::string& path);
  // Puts the source to where `PathOf` says, whole or not at all.
  absl::Status Load(const std::string& space, const Key& key);
  std::string PathOf(const Key& key) const;
  // The last pool that used it has ended.
  void OnLetGo(const Key& key);
  // Until at most `bytes_max` of them are left; true when there was something to remove.
  bool RemoveUnused(std::int64_t bytes_max);

  const std::string folder_;
  SourceFetcher* const fetcher_;
  const std::int64_t unused_bytes_max_;
  std::map<Key, Entry> entries_;        // On the thread.
  std::uint64_t let_go_ = 0;            // On the thread.
  std::shared_ptr<WorkerPool> thread_;  // Held weakly by what pools hold.
};

}  // namespace penstock::executor
