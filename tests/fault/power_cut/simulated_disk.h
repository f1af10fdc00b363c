// A disk in memory that loses what a real one may lose.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <random>
#include <string>
#include <variant>
#include <vector>

#include "services/event-broker/ports/file_system.h"

namespace penstock::broker {

// A power cut leaves any subset of the 512-byte sectors that were not synced, and any subset of the
// creations, removals and renames in folders that were not synced. A failed sync drops what it
// should have written: a later sync succeeds without it, as Linux does. Thread-safe; the same seed
// and calls give the same losses.
class SimulatedDisk final : public FileSystem {
 public:
  explicit SimulatedDisk(std::uint64_t seed);

  absl::StatusOr<std::unique_ptr<Folder>> OpenFolder(const std::string& path) override;

  // Cuts the power in the middle of the `operations`-th change from now on (1: the very next).
  // Changes are writes, truncations, allocations, syncs, creations, removals and renames.
  void CutPowerAfter(std::uint64_t operations);
  bool powered() const;
  // Cuts the power if that has not happened, decides what survived, and switches on again. Files
  // and folders opened before stay unusable.
  void Restart();

  // The next `count` syncs of files fail.
  void FailSyncs(int count);
  // The next `count` reads of files fail.
  void FailReads(int count);
  // The bytes that all files together may have; nothing: no limit.
  void SetCapacity(std::optional<std::uint64_t> bytes);
  // While set, everything that changes something is refused with PERMISSION_DENIED.
  void SetReadOnly(bool read_only);

  // A file as programs see it; empty when it does not exist.
  std::string Contents(const std::string& folder, const std::string& name) const;
  // Replaces a file, durably.
  void Replace(const std::string& folder, const std::string& name, const std::string& contents);
  // Removes a file, durably.
  void Remove(const std::string& folder, const std::string& name);
  std::vector<std::string> Names(const std::string& folder) const;
  std::uint64_t used() const;
  // Counts of what programs did since the start.
  std::uint64_t changes() const;
  std::uint64_t syncs() const;

 private:
  class SimulatedFile;
  class SimulatedFolder;

  struct Write {
    std::uint64_t offset;
    std::string bytes;
  };
  struct Resize {
    std::uint64_t size;
  };
  struct Inode {
    std::string live;     // What programs see.
    std::string durable;  // What a cut leaves at least.
    std::vector<std::variant<Write, Resize>> pending;
  };
  struct NameChange {
    std::string removed;  // Empty: none.
    std::string added;    // Empty: none.
    std::shared_ptr<Inode> inode;
  };
  struct FolderState {
    std::map<std::string, std::shared_ptr<Inode>> live;
    std::map<std::string, std::shared_ptr<Inode>> durable;
    std::vector<NameChange> pending;
  };

  // All below require mutex_.
  absl::Status CheckUsable(std::uint64_t boot) const;
  // Counts a change; an error when it may not happen. `cut` is set when the power goes during it.
  absl::Status BeginChange(std::uint64_t boot, bool& cut);
  void SurviveCut(Inode& inode);
  void SurviveCut(FolderState& folder);
  std::uint64_t UsedLocked() const;
  bool Coin(double probability);

  mutable std::mutex mutex_;
  std::mt19937_64 random_;
  std::map<std::string, std::shared_ptr<FolderState>> folders_;
  std::uint64_t boot_ = 1;
  bool powered_ = true;
  std::optional<std::uint64_t> changes_to_cut_;
  int failing_syncs_ = 0;
  int failing_reads_ = 0;
  std::optional<std::uint64_t> capacity_;
  bool read_only_ = false;
  std::uint64_t changes_ = 0;
  std::uint64_t syncs_ = 0;
};

}  // namespace penstock::broker
