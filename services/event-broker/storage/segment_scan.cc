#include "services/event-broker/storage/segment_scan.h"

#include <algorithm>

#include "libs/base/crc32c.h"
#include "libs/base/status.h"
#include "services/event-broker/storage/wire.h"

namespace penstock::broker {
namespace {

constexpr std::uint64_t kWindowBytes = 1 << 20;

// Gives stretches of a file from a buffer that moves forward.
class FileWindow {
 public:
  FileWindow(File& file, std::uint64_t end) : file_(file), end_(end) {}

  // At least `size` bytes from `offset` on, fewer only at the end. Valid until the next call.
  absl::StatusOr<std::string_view> View(std::uint64_t offset, std::uint64_t size) {
    size = std::min(size, end_ - std::min(end_, offset));
    if (offset < start_ || offset + size > start_ + buffer_.size()) {
      buffer_.resize(std::min(std::max(size, kWindowBytes), end_ - std::min(end_, offset)));
      start_ = offset;
      if (!buffer_.empty()) {
        ASSIGN_OR_RETURN(const std::size_t got,
                         file_.ReadAt(offset, buffer_.data(), buffer_.size()));
        buffer_.resize(got);
      }
    }
    return std::string_view(buffer_).substr(offset - start_);
  }

 private:
  File& file_;
  const std::uint64_t end_;
  std::uint64_t start_ = 0;
  std::string buffer_;
};

bool Belongs(const BatchHeader& header, const SegmentIdentity& identity) {
  return header.log_id == identity.log_id && header.segment_id == identity.segment_id;
}

// Fills the index of a segment.
class IndexFiller final : public ScanVisitor {
 public:
  explicit IndexFiller(ActiveIndex& index) : index_(index) {}
  absl::Status OnBatch(const BatchHeader& header, std::uint64_t offset,
                       std::string_view bytes) override {
    index_.AddBatch(header, offset, bytes);
    return absl::OkStatus();
  }
  void OnHole(const ScanHole& hole) override {
    if (hole.first <= hole.last) index_.AddHole(hole.first, hole.last);
  }

 private:
  ActiveIndex& index_;
};

}  // namespace

class SegmentScanner::Impl {
 public:
  Impl(File& file, std::uint64_t end, const SegmentIdentity& identity, ScanVisitor* visitor)
      : window_(file, end), end_(end), identity_(identity), visitor_(visitor) {}

  absl::StatusOr<bool> Step(std::uint64_t bytes_max) {
    const std::uint64_t stop = offset_ + std::min(bytes_max, end_ - offset_);
    while (offset_ < stop) {
      BatchHeader header;
      ASSIGN_OR_RETURN(const bool valid, Check(offset_, header));
      if (scan_.newer_format) return Finish();
      if (valid && Follows(header)) {
        RETURN_IF_ERROR(Take(offset_, header));
        continue;
      }
      ASSIGN_OR_RETURN(const std::uint64_t next, FindIntact(offset_, header));
      if (next == end_) return Finish();
      scan_.holes.push_back({Expected(), header.first_sequence - 1, offset_, next - offset_});
      if (visitor_ != nullptr) visitor_->OnHole(scan_.holes.back());
      RETURN_IF_ERROR(Take(next, header));
    }
    return offset_ < end_;
  }
  const SegmentScan& scan() const { return scan_; }
  std::uint64_t offset() const { return offset_; }

 private:
  bool Finish() {
    offset_ = end_;
    return false;
  }

  Sequence Expected() const {
    return scan_.last.has_value() ? scan_.last->last_sequence() + 1 : identity_.segment_id;
  }

  bool Follows(const BatchHeader& header) const {
    if (header.first_sequence != Expected()) return false;
    return !scan_.last.has_value() || (header.batch_number == scan_.last->batch_number + 1 &&
                                       header.previous_crc == scan_.last->header_crc);
  }

  // Whether a whole intact batch of this segment begins at `offset`.
  absl::StatusOr<bool> Check(std::uint64_t offset, BatchHeader& header) {
    ASSIGN_OR_RETURN(std::string_view bytes, window_.View(offset, kBatchHeaderBytes));
    switch (DecodeBatchHeader(bytes, header)) {
      case HeaderVerdict::kNewer: scan_.newer_format = true; return false;
      case HeaderVerdict::kInvalid: return false;
      case HeaderVerdict::kValid: break;
    }
    if (header.total_bytes() > end_ - offset) return false;
    ASSIGN_OR_RETURN(bytes, window_.View(offset, header.total_bytes()));
    return CheckBatch(bytes, identity_, header) == HeaderVerdict::kValid;
  }

  absl::Status Take(std::uint64_t offset, const BatchHeader& header) {
    if (visitor_ != nullptr) {
      ASSIGN_OR_RETURN(const std::string_view bytes, window_.View(offset, header.total_bytes()));
      RETURN_IF_ERROR(visitor_->OnBatch(header, offset, bytes.substr(0, header.total_bytes())));
    }
    scan_.last = header;
    scan_.last_offset = offset;
    offset_ = scan_.valid_end = offset + header.total_bytes();
    return absl::OkStatus();
  }

  // The offset of the first intact batch at or behind `from`, or the end.
  absl::StatusOr<std::uint64_t> FindIntact(std::uint64_t from, BatchHeader& header) {
    while (from < end_) {
      ASSIGN_OR_RETURN(const std::string_view bytes, window_.View(from, kWindowBytes));
      if (bytes.size() < kBatchHeaderBytes) break;
      const std::size_t at = FindNextHeader(bytes, 0, identity_, Expected() - 1, header);
      if (at == std::string_view::npos) {
        // A header may straddle the end of the window.
        from += bytes.size() - (kBatchHeaderBytes - 1);
        continue;
      }
      const std::uint64_t offset = from + at;
      ASSIGN_OR_RETURN(const bool valid, Check(offset, header));
      if (valid) return offset;
      from = offset + 1;
    }
    return end_;
  }

  FileWindow window_;
  const std::uint64_t end_;
  const SegmentIdentity identity_;
  ScanVisitor* const visitor_;
  std::uint64_t offset_ = 0;
  SegmentScan scan_;
};

SegmentScanner::SegmentScanner(File& file, std::uint64_t end, const SegmentIdentity& identity,
                               ScanVisitor* visitor)
    : impl_(std::make_unique<Impl>(file, end, identity, visitor)) {}
SegmentScanner::~SegmentScanner() = default;
absl::StatusOr<bool> SegmentScanner::Step(std::uint64_t bytes_max) {
  return impl_->Step(bytes_max);
}
const SegmentScan& SegmentScanner::scan() const { return impl_->scan(); }
std::uint64_t SegmentScanner::offset() const { return impl_->offset(); }

HeaderVerdict CheckBatch(std::string_view bytes, const SegmentIdentity& identity,
                         BatchHeader& header) {
  const HeaderVerdict verdict = DecodeBatchHeader(bytes, header);
  if (verdict != HeaderVerdict::kValid) return verdict;
  if (!Belongs(header, identity) || bytes.size() < header.total_bytes() ||
      Crc32c(bytes.substr(kBatchHeaderBytes, header.body_bytes)) != header.body_crc) {
    return HeaderVerdict::kInvalid;
  }
  return HeaderVerdict::kValid;
}

absl::StatusOr<SegmentScan> ScanSegment(File& file, std::uint64_t end,
                                        const SegmentIdentity& identity, ScanVisitor* visitor) {
  SegmentScanner scanner(file, end, identity, visitor);
  RETURN_IF_ERROR(scanner.Step(end).status());
  return scanner.scan();
}

absl::StatusOr<SegmentScan> IndexSegment(File& file, std::uint64_t end,
                                         const SegmentIdentity& identity, ActiveIndex& index) {
  IndexFiller filler(index);
  return ScanSegment(file, end, identity, &filler);
}

absl::StatusOr<std::uint64_t> TailEnd(File& file, std::uint64_t from, std::uint64_t end) {
  FileWindow window(file, end);
  std::uint64_t tail_end = from;
  for (std::uint64_t offset = from; offset < end;) {
    ASSIGN_OR_RETURN(std::string_view bytes, window.View(offset, kWindowBytes));
    if (bytes.empty()) break;
    bytes = bytes.substr(0, kWindowBytes);
    const std::size_t last = bytes.find_last_not_of('\0');
    if (last != std::string_view::npos) tail_end = offset + last + 1;
    offset += bytes.size();
  }
  return tail_end;
}

std::size_t FindNextHeader(std::string_view bytes, std::size_t from,
                           const SegmentIdentity& identity, Sequence after, BatchHeader& header) {
  char magic[4];
  Store(magic, kBatchMagic);
  const std::string_view wanted(magic, sizeof magic);
  for (std::size_t at = bytes.find(wanted, from); at != std::string_view::npos;
       at = bytes.find(wanted, at + 1)) {
    if (DecodeBatchHeader(bytes.substr(at), header) == HeaderVerdict::kValid &&
        Belongs(header, identity) && header.first_sequence > after) {
      return at;
    }
  }
  return std::string_view::npos;
}

}  // namespace penstock::broker
