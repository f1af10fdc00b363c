#include "tests/fault/power_cut/simulated_disk.h"

#include <algorithm>
#include <array>
#include <cstring>

#include "libs/base/status.h"

namespace penstock::broker {
namespace {

constexpr std::uint64_t kSectorBytes = 512;

void Apply(std::string& file, std::uint64_t offset, std::string_view bytes) {
  if (file.size() < offset + bytes.size()) file.resize(offset + bytes.size());
  std::memcpy(file.data() + offset, bytes.data(), bytes.size());
}

}  // namespace

class SimulatedDisk::SimulatedFile final : public File {
 public:
  SimulatedFile(SimulatedDisk& disk, std::shared_ptr<Inode> inode, bool writable)
      : disk_(disk), inode_(std::move(inode)), boot_(disk.boot_), writable_(writable) {}

  absl::Status WriteAt(std::uint64_t offset, std::span<const std::string_view> pieces) override {
    std::string bytes;
    for (const std::string_view piece : pieces) bytes.append(piece);
    const std::lock_guard lock(disk_.mutex_);
    bool cut = false;
    RETURN_IF_ERROR(Begin(cut));
    bool full = false;
    if (disk_.capacity_.has_value()) {
      const std::uint64_t others = disk_.UsedLocked() - inode_->live.size();
      const std::uint64_t end_max =
          *disk_.capacity_ > others ? *disk_.capacity_ - others : inode_->live.size();
      const std::uint64_t limit = std::max<std::uint64_t>(end_max, inode_->live.size());
      if (offset + bytes.size() > limit) {
        bytes.resize(limit > offset ? limit - offset : 0);
        full = true;
      }
    }
    if (!bytes.empty()) {
      Apply(inode_->live, offset, bytes);
      inode_->pending.emplace_back(Write{offset, std::move(bytes)});
    }
    if (cut) return absl::InternalError("the power went during a write");
    return full ? absl::ResourceExhaustedError("no space left") : absl::OkStatus();
  }

  absl::StatusOr<std::size_t> ReadAt(std::uint64_t offset, char* out, std::size_t size) override {
    const std::lock_guard lock(disk_.mutex_);
    RETURN_IF_ERROR(disk_.CheckUsable(boot_));
    if (disk_.failing_reads_ > 0) {
      --disk_.failing_reads_;
      return absl::InternalError("input/output error during a read");
    }
    if (offset >= inode_->live.size()) return std::size_t{0};
    const std::size_t got = std::min<std::size_t>(size, inode_->live.size() - offset);
    std::memcpy(out, inode_->live.data() + offset, got);
    return got;
  }

  absl::Status Sync() override {
    const std::lock_guard lock(disk_.mutex_);
    bool cut = false;
    RETURN_IF_ERROR(Begin(cut));
    if (cut) return absl::InternalError("the power went during a sync");
    if (disk_.failing_syncs_ > 0) {
      --disk_.failing_syncs_;
      // What was to be written is marked clean and forgotten; some of it may have reached the disk.
      disk_.SurviveCut(*inode_);
      return absl::InternalError("input/output error during a sync");
    }
    ++disk_.syncs_;
    for (const auto& change : inode_->pending) {
      if (const auto* write = std::get_if<Write>(&change)) {
        Apply(inode_->durable, write->offset, write->bytes);
      } else {
        inode_->durable.resize(std::get<Resize>(change).size);
      }
    }
    inode_->pending.clear();
    return absl::OkStatus();
  }

  absl::Status Truncate(std::uint64_t size) override { return ResizeTo(size, false); }
  absl::Status Allocate(std::uint64_t size) override { return ResizeTo(size, true); }

  absl::StatusOr<std::uint64_t> Size() override {
    const std::lock_guard lock(disk_.mutex_);
    RETURN_IF_ERROR(disk_.CheckUsable(boot_));
    return inode_->live.size();
  }

  void DropCache(std::uint64_t, std::uint64_t) override {}

 private:
  absl::Status Begin(bool& cut) {
    if (!writable_) return absl::InternalError("the file is open for reading only");
    return disk_.BeginChange(boot_, cut);
  }

  absl::Status ResizeTo(std::uint64_t size, bool only_grow) {
    const std::lock_guard lock(disk_.mutex_);
    bool cut = false;
    RETURN_IF_ERROR(Begin(cut));
    if (only_grow && size < inode_->live.size()) size = inode_->live.size();
    if (disk_.capacity_.has_value() && size > inode_->live.size() &&
        disk_.UsedLocked() - inode_->live.size() + size > *disk_.capacity_) {
      return absl::ResourceExhaustedError("no space left");
    }
    inode_->live.resize(size);
    inode_->pending.emplace_back(Resize{size});
    return cut ? absl::InternalError("the power went during a truncation") : absl::OkStatus();
  }

  SimulatedDisk& disk_;
  const std::shared_ptr<Inode> inode_;
  const std::uint64_t boot_;
  const bool writable_;
};

class SimulatedDisk::SimulatedFolder final : public Folder {
 public:
  SimulatedFolder(SimulatedDisk& disk, std::shared_ptr<FolderState> state)
      : disk_(disk), state_(std::move(state)), boot_(disk.boot_) {}

  absl::StatusOr<std::unique_ptr<File>> Create(const std::string& name) override {
    const std::lock_guard lock(disk_.mutex_);
    RETURN_IF_ERROR(disk_.CheckUsable(boot_));
    if (state_->live.contains(name)) return absl::AlreadyExistsError(name);
    auto inode = std::make_shared<Inode>();
    RETURN_IF_ERROR(Change({.removed = "", .added = name, .inode = inode}));
    return std::make_unique<SimulatedFile>(disk_, std::move(inode), true);
  }

  absl::StatusOr<std::unique_ptr<File>> Open(const std::string& name, OpenMode mode) override {
    const std::lock_guard lock(disk_.mutex_);
    RETURN_IF_ERROR(disk_.CheckUsable(boot_));
    const auto found = state_->live.find(name);
    if (found == state_->live.end()) return absl::NotFoundError(name);
    if (mode == OpenMode::kReadWrite && disk_.read_only_) return absl::PermissionDeniedError(name);
    return std::make_unique<SimulatedFile>(disk_, found->second, mode == OpenMode::kReadWrite);
  }

  absl::StatusOr<std::vector<std::string>> List() override {
    const std::lock_guard lock(disk_.mutex_);
    RETURN_IF_ERROR(disk_.CheckUsable(boot_));
    std::vector<std::string> names;
    for (const auto& [name, inode] : state_->live) names.push_back(name);
    return names;
  }

  absl::Status Unlink(const std::string& name) override {
    const std::lock_guard lock(disk_.mutex_);
    RETURN_IF_ERROR(disk_.CheckUsable(boot_));
    if (!state_->live.contains(name)) return absl::NotFoundError(name);
    return Change({.removed = name, .added = "", .inode = nullptr});
  }

  absl::Status Rename(const std::string& from, const std::string& to) override {
    const std::lock_guard lock(disk_.mutex_);
    RETURN_IF_ERROR(disk_.CheckUsable(boot_));
    const auto found = state_->live.find(from);
    if (found == state_->live.end()) return absl::NotFoundError(from);
    return Change({.removed = from, .added = to, .inode = found->second});
  }

  absl::Status Sync() override {
    const std::lock_guard lock(disk_.mutex_);
    bool cut = false;
    RETURN_IF_ERROR(disk_.BeginChange(boot_, cut));
    if (cut) return absl::InternalError("the power went during a sync");
    state_->durable = state_->live;
    state_->pending.clear();
    return absl::OkStatus();
  }

 private:
  absl::Status Change(NameChange change) {
    bool cut = false;
    RETURN_IF_ERROR(disk_.BeginChange(boot_, cut));
    if (!change.removed.empty()) state_->live.erase(change.removed);
    if (!change.added.empty()) state_->live[change.added] = change.inode;
    state_->pending.push_back(std::move(change));
    return cut ? absl::InternalError("the power went during a change") : absl::OkStatus();
  }

  SimulatedDisk& disk_;
  const std::shared_ptr<FolderState> state_;
  const std::uint64_t boot_;
};

SimulatedDisk::SimulatedDisk(std::uint64_t seed) : random_(seed) {}

absl::StatusOr<std::unique_ptr<Folder>> SimulatedDisk::OpenFolder(const std::string& path) {
  const std::lock_guard lock(mutex_);
  if (!powered_) return absl::InternalError("no power");
  std::shared_ptr<FolderState>& state = folders_[path];
  if (state == nullptr) state = std::make_shared<FolderState>();
  return std::make_unique<SimulatedFolder>(*this, state);
}

void SimulatedDisk::CutPowerAfter(std::uint64_t operations) {
  const std::lock_guard lock(mutex_);
  changes_to_cut_ = std::max<std::uint64_t>(operations, 1);
}

bool SimulatedDisk::powered() const {
  const std::lock_guard lock(mutex_);
  return powered_;
}

void SimulatedDisk::Restart() {
  const std::lock_guard lock(mutex_);
  for (auto& [path, folder] : folders_) {
    // Files without a surviving name are gone; those with one are decided once each, in name order.
    SurviveCut(*folder);
    for (auto& [name, inode] : folder->live) {
      SurviveCut(*inode);
      inode->live = inode->durable;
    }
  }
  ++boot_;
  powered_ = true;
  changes_to_cut_.reset();
  failing_syncs_ = 0;
}

void SimulatedDisk::FailSyncs(int count) {
  const std::lock_guard lock(mutex_);
  failing_syncs_ = count;
}

void SimulatedDisk::FailReads(int count) {
  const std::lock_guard lock(mutex_);
  failing_reads_ = count;
}

void SimulatedDisk::SetCapacity(std::optional<std::uint64_t> bytes) {
  const std::lock_guard lock(mutex_);
  capacity_ = bytes;
}

void SimulatedDisk::SetReadOnly(bool read_only) {
  const std::lock_guard lock(mutex_);
  read_only_ = read_only;
}

std::string SimulatedDisk::Contents(const std::string& folder, const std::string& name) const {
  const std::lock_guard lock(mutex_);
  const auto found = folders_.find(folder);
  if (found == folders_.end() || !found->second->live.contains(name)) return "";
  return found->second->live.at(name)->live;
}

void SimulatedDisk::Replace(const std::string& folder, const std::string& name,
                            const std::string& contents) {
  const std::lock_guard lock(mutex_);
  std::shared_ptr<FolderState>& state = folders_[folder];
  if (state == nullptr) state = std::make_shared<FolderState>();
  std::shared_ptr<Inode>& inode = state->live[name];
  if (inode == nullptr) inode = std::make_shared<Inode>();
  inode->live = inode->durable = contents;
  inode->pending.clear();
  state->durable[name] = inode;
}

void SimulatedDisk::Remove(const std::string& folder, const std::string& name) {
  const std::lock_guard lock(mutex_);
  folders_.at(folder)->live.erase(name);
  folders_.at(folder)->durable.erase(name);
}

std::vector<std::string> SimulatedDisk::Names(const std::string& folder) const {
  const std::lock_guard lock(mutex_);
  std::vector<std::string> names;
  for (const auto& [name, inode] : folders_.at(folder)->live) names.push_back(name);
  return names;
}

std::uint64_t SimulatedDisk::used() const {
  const std::lock_guard lock(mutex_);
  return UsedLocked();
}

std::uint64_t SimulatedDisk::changes() const {
  const std::lock_guard lock(mutex_);
  return changes_;
}

std::uint64_t SimulatedDisk::syncs() const {
  const std::lock_guard lock(mutex_);
  return syncs_;
}

absl::Status SimulatedDisk::CheckUsable(std::uint64_t boot) const {
  if (powered_ && boot == boot_) return absl::OkStatus();
  return absl::InternalError("no power");
}

absl::Status SimulatedDisk::BeginChange(std::uint64_t boot, bool& cut) {
  RETURN_IF_ERROR(CheckUsable(boot));
  if (read_only_) return absl::PermissionDeniedError("read-only disk");
  ++changes_;
  if (changes_to_cut_.has_value() && --*changes_to_cut_ == 0) {
    powered_ = false;
    cut = true;
  }
  return absl::OkStatus();
}

void SimulatedDisk::SurviveCut(Inode& inode) {
  // Mostly a mixture, sometimes all or nothing: each is a case that real disks show.
  const double kept = std::array{0.0, 0.5, 0.9, 1.0}[random_() % 4];
  for (const auto& change : inode.pending) {
    if (const auto* resize = std::get_if<Resize>(&change)) {
      if (Coin(kept)) inode.durable.resize(resize->size);
      continue;
    }
    const auto& write = std::get<Write>(change);
    const std::uint64_t end = write.offset + write.bytes.size();
    // The file's length can reach the disk without its contents.
    if (inode.durable.size() < end && Coin(kept)) inode.durable.resize(end);
    for (std::uint64_t at = write.offset; at < end;) {
      const std::uint64_t sector_end = std::min(end, (at / kSectorBytes + 1) * kSectorBytes);
      if (Coin(kept)) {
        Apply(inode.durable, at,
              std::string_view(write.bytes).substr(at - write.offset, sector_end - at));
      }
      at = sector_end;
    }
  }
  inode.pending.clear();
}

void SimulatedDisk::SurviveCut(FolderState& folder) {
  for (const NameChange& change : folder.pending) {
    if (!Coin(0.5)) continue;
    if (!change.removed.empty()) folder.durable.erase(change.removed);
    if (!change.added.empty()) folder.durable[change.added] = change.inode;
  }
  folder.pending.clear();
  folder.live = folder.durable;
}

std::uint64_t SimulatedDisk::UsedLocked() const {
  std::uint64_t used = 0;
  for (const auto& [path, folder] : folders_) {
    for (const auto& [name, inode] : folder->live) used += inode->live.size();
  }
  return used;
}

bool SimulatedDisk::Coin(double probability) {
  // Not std::bernoulli_distribution, whose draws differ between libraries.
  return static_cast<double>(random_() >> 11) * 0x1p-53 < probability;
}

}  // namespace penstock::broker
