#include "services/event-broker/storage/block_index.h"

#include <algorithm>

#include "absl/status/status.h"
#include "services/event-broker/storage/wire.h"

namespace penstock::broker {
namespace {

constexpr std::uint64_t kBlockBytes = 64 << 10;
constexpr std::size_t kNamesPerBlockMax = 64;  // More spaces or types than this in a block: "any".
constexpr std::size_t kNamesPerSegmentMax = 1 << 16;
constexpr std::uint32_t kNoName = 0xffffffff;

}  // namespace

void BlockIndex::AddBatch(const BatchHeader& header, std::uint64_t offset) {
  if (blocks_.empty() || blocks_.back().span.bytes >= kBlockBytes ||
      blocks_.back().span.offset + blocks_.back().span.bytes != offset ||
      blocks_.back().span.last + 1 != header.first_sequence) {
    blocks_.push_back({.span = {.offset = offset,
                                .bytes = 0,
                                .first = header.first_sequence,
                                .last = header.last_sequence(),
                                .time_min = header.time_min,
                                .time_max = header.time_max}});
  }
  BlockSpan& span = blocks_.back().span;
  span.bytes += header.total_bytes();
  span.last = header.last_sequence();
  span.time_min = std::min(span.time_min, header.time_min);
  span.time_max = std::max(span.time_max, header.time_max);
}

void BlockIndex::AddRecord(const RecordView& record) {
  Block& block = blocks_.back();
  if (record.kind == RecordKind::kControl) {
    block.flags |= kHasControl;
    return;
  }
  block.flags |= kHasEvents;
  AddName(block.spaces, kAnySpace, record.space);
  AddName(block.types, kAnyType, record.type);
}

std::uint32_t BlockIndex::Intern(std::string_view name) {
  // Debian's Abseil has a string_view of its own.
  const auto found = ids_.find(absl::string_view(name.data(), name.size()));
  if (found != ids_.end()) return found->second;
  if (names_.size() >= kNamesPerSegmentMax) return kNoName;
  const auto id = static_cast<std::uint32_t>(names_.size());
  names_.emplace_back(name);
  ids_.emplace(names_.back(), id);
  return id;
}

void BlockIndex::AddName(std::vector<std::uint32_t>& names, std::uint8_t any,
                         std::string_view name) {
  Block& block = blocks_.back();
  if ((block.flags & any) != 0) return;
  // Neighbours mostly share space and type: this spares them the search.
  if (!names.empty() && names_[names.back()] == name) return;
  const std::uint32_t id = Intern(name);
  if (id == kNoName || names.size() >= kNamesPerBlockMax) {
    block.flags |= any;
    names.clear();
    return;
  }
  if (const auto at = std::find(names.begin(), names.end(), id); at != names.end()) {
    std::swap(*at, names.back());
  } else {
    names.push_back(id);
  }
}

std::size_t BlockIndex::FirstReaching(Sequence from) const {
  const auto at = std::partition_point(blocks_.begin(), blocks_.end(), [from](const Block& block) {
    return block.span.last < from;
  });
  return static_cast<std::size_t>(at - blocks_.begin());
}

std::optional<BlockSpan> BlockIndex::FirstMatching(Sequence from, const ScanFilter& filter) const {
  const auto resolve = [this](const std::vector<std::string>& names) {
    std::vector<std::uint32_t> ids;
    for (const std::string& name : names) {
      if (const auto found = ids_.find(name); found != ids_.end()) ids.push_back(found->second);
    }
    return ids;
  };
  const std::vector<std::uint32_t> spaces = resolve(filter.spaces);
  const std::vector<std::uint32_t> types = resolve(filter.types);
  const auto holds = [](const std::vector<std::uint32_t>& there,
                        const std::vector<std::uint32_t>& wanted) {
    return std::find_first_of(there.begin(), there.end(), wanted.begin(), wanted.end()) !=
           there.end();
  };
  for (std::size_t i = FirstReaching(from); i < blocks_.size(); ++i) {
    const Block& block = blocks_[i];
    if ((block.flags & kHasControl) != 0 && filter.control_records) return block.span;
    if ((block.flags & kHasEvents) == 0) continue;
    if ((filter.spaces.empty() || (block.flags & kAnySpace) != 0 || holds(block.spaces, spaces)) &&
        (filter.types.empty() || (block.flags & kAnyType) != 0 || holds(block.types, types))) {
      return block.span;
    }
  }
  return std::nullopt;
}

std::optional<BlockSpan> BlockIndex::FirstAtOrAfter(Sequence from, std::int64_t time) const {
  for (std::size_t i = FirstReaching(from); i < blocks_.size(); ++i) {
    if (blocks_[i].span.time_max >= time) return blocks_[i].span;
  }
  return std::nullopt;
}

void BlockIndex::Encode(std::string& out) const {
  Put(out, static_cast<std::uint32_t>(names_.size()));
  for (const std::string& name : names_) {
    Put(out, static_cast<std::uint16_t>(name.size()));
    out.append(name);
  }
  Put(out, static_cast<std::uint32_t>(blocks_.size()));
  for (const Block& block : blocks_) {
    Put(out, block.span.offset);
    Put(out, block.span.bytes);
    Put(out, block.span.first);
    Put(out, block.span.last);
    Put(out, block.span.time_min);
    Put(out, block.span.time_max);
    Put(out, block.flags);
    for (const auto* names : {&block.spaces, &block.types}) {
      Put(out, static_cast<std::uint8_t>(names->size()));
      for (const std::uint32_t id : *names) Put(out, id);
    }
  }
}

absl::StatusOr<BlockIndex> BlockIndex::Decode(std::string_view bytes) {
  BlockIndex index;
  WireReader reader(bytes);
  const auto names = reader.Get<std::uint32_t>();
  for (std::uint32_t i = 0; i < names && reader.ok(); ++i) {
    index.names_.emplace_back(reader.Bytes(reader.Get<std::uint16_t>()));
    index.ids_.emplace(index.names_.back(), i);
  }
  const auto blocks = reader.Get<std::uint32_t>();
  for (std::uint32_t i = 0; i < blocks && reader.ok(); ++i) {
    Block block;
    block.span.offset = reader.Get<std::uint64_t>();
    block.span.bytes = reader.Get<std::uint64_t>();
    block.span.first = reader.Get<Sequence>();
    block.span.last = reader.Get<Sequence>();
    block.span.time_min = reader.Get<std::int64_t>();
    block.span.time_max = reader.Get<std::int64_t>();
    block.flags = reader.Get<std::uint8_t>();
    for (auto* list : {&block.spaces, &block.types}) {
      const auto count = reader.Get<std::uint8_t>();
      for (int k = 0; k < count && reader.ok(); ++k) list->push_back(reader.Get<std::uint32_t>());
    }
    index.blocks_.push_back(std::move(block));
  }
  if (!reader.ok() || reader.left() != 0) return absl::DataLossError("block index is malformed");
  return index;
}

}  // namespace penstock::broker
