#include "services/event-broker/storage/batch_format.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>

#include "libs/base/crc32c.h"
#include "libs/base/status.h"
#include "services/event-broker/storage/wire.h"

namespace penstock::broker {
namespace {

constexpr std::size_t kCrcAt = kBatchHeaderBytes - 4;
constexpr std::size_t kHeaderBytesMax =
    4096;  // Of any later format; bounds what a bad size field costs.

bool KnownKind(std::uint8_t kind) {
  return kind == static_cast<std::uint8_t>(RecordKind::kEvent) ||
         kind == static_cast<std::uint8_t>(RecordKind::kControl);
}

}  // namespace

HashKey IndexKeyOf(const LogId& log_id) {
  return {Load<std::uint64_t>(log_id.data()), Load<std::uint64_t>(log_id.data() + 8)};
}

void EncodeBatchHeader(BatchHeader& header, char* out) {
  Store(out, kBatchMagic);
  Store(out + 4, kLogFormat);
  Store(out + 6, static_cast<std::uint16_t>(kBatchHeaderBytes));
  std::memcpy(out + 8, header.log_id.data(), header.log_id.size());
  Store(out + 24, header.segment_id);
  Store(out + 32, header.batch_number);
  Store(out + 40, header.first_sequence);
  Store(out + 48, header.count);
  Store(out + 52, header.body_bytes);
  Store(out + 56, header.time_min);
  Store(out + 64, header.time_max);
  Store(out + 72, header.previous_crc);
  Store(out + 76, header.body_crc);
  Store(out + 80, std::uint32_t{0});
  header.header_crc = Crc32c(std::string_view(out, kCrcAt));
  Store(out + kCrcAt, header.header_crc);
}

HeaderVerdict DecodeBatchHeader(std::string_view bytes, BatchHeader& header) {
  if (bytes.size() < 8 || Load<std::uint32_t>(bytes.data()) != kBatchMagic) {
    return HeaderVerdict::kInvalid;
  }
  // Magic, format, header size, and the checksum in the header's last four bytes are the same in
  // every format.
  const auto format = Load<std::uint16_t>(bytes.data() + 4);
  const std::size_t size = Load<std::uint16_t>(bytes.data() + 6);
  if (size < 12 || size > kHeaderBytesMax || bytes.size() < size) return HeaderVerdict::kInvalid;
  const auto crc = Load<std::uint32_t>(bytes.data() + size - 4);
  if (Crc32c(bytes.substr(0, size - 4)) != crc) return HeaderVerdict::kInvalid;
  if (format > kLogFormat) return HeaderVerdict::kNewer;
  if (format != kLogFormat || size != kBatchHeaderBytes) return HeaderVerdict::kInvalid;
  const char* at = bytes.data();
  std::memcpy(header.log_id.data(), at + 8, header.log_id.size());
  header.segment_id = Load<std::uint64_t>(at + 24);
  header.batch_number = Load<std::uint64_t>(at + 32);
  header.first_sequence = Load<Sequence>(at + 40);
  header.count = Load<std::uint32_t>(at + 48);
  header.body_bytes = Load<std::uint32_t>(at + 52);
  header.time_min = Load<std::int64_t>(at + 56);
  header.time_max = Load<std::int64_t>(at + 64);
  header.previous_crc = Load<std::uint32_t>(at + 72);
  header.body_crc = Load<std::uint32_t>(at + 76);
  header.header_crc = crc;
  return header.count > 0 && header.first_sequence > 0 ? HeaderVerdict::kValid
                                                       : HeaderVerdict::kInvalid;
}

EventRecord RecordView::ToRecord(const std::shared_ptr<const void>& owner) const {
  return {.sequence = sequence,
          .append_time = FromUnixMicros(append_time),
          .kind = kind,
          .space = space,
          .type = type,
          .source = source,
          .id = id,
          .ordering_key = ordering_key,
          .body = body,
          .content_hash = content_hash,
          .owner = owner};
}

RecordCursor::RecordCursor(const BatchHeader& header, std::string_view body)
    : first_(header.first_sequence),
      count_(header.count),
      time_min_(header.time_min),
      rest_(body) {}

void RecordCursor::SkipTo(Sequence sequence, const RecordMarks& marks) {
  if (marks == nullptr || sequence <= first_) return;
  const std::uint64_t mark =
      std::min<std::uint64_t>(sequence - first_, count_ - 1) / kRecordsPerMark;
  if (mark >= marks->size()) return;
  index_ = static_cast<std::uint32_t>(mark) * kRecordsPerMark;
  rest_.remove_prefix((*marks)[mark]);
}

bool RecordCursor::Next(RecordView& record) {
  if (index_ == count_) return false;
  WireReader reader(rest_);
  const auto size = reader.Get<std::uint32_t>();
  const auto time_offset = reader.Get<std::uint32_t>();
  record.content_hash = reader.Get<std::uint64_t>();
  const auto body_size = reader.Get<std::uint32_t>();
  std::array<std::uint16_t, 5> sizes;
  for (std::uint16_t& part : sizes) part = reader.Get<std::uint16_t>();
  const auto kind = reader.Get<std::uint8_t>();
  reader.Get<std::uint8_t>();
  record.space = reader.Bytes(sizes[0]);
  record.type = reader.Bytes(sizes[1]);
  record.source = reader.Bytes(sizes[2]);
  record.id = reader.Bytes(sizes[3]);
  record.ordering_key = reader.Bytes(sizes[4]);
  record.body = reader.Bytes(body_size);
  if (!reader.ok() || size != rest_.size() - reader.left() || !KnownKind(kind)) return false;
  record.kind = static_cast<RecordKind>(kind);
  record.sequence = first_ + index_;
  record.append_time = time_min_ + time_offset;
  record.encoded_bytes = size;
  rest_.remove_prefix(size);
  ++index_;
  return true;
}

std::size_t EncodedBytes(const AppendRequest& request) {
  return kRecordHeaderBytes + request.space.size() + request.type.size() + request.source.size() +
         request.id.size() + request.ordering_key.size() + request.body.size();
}

absl::Status CheckAppendRequest(const AppendRequest& request, std::size_t record_bytes_max) {
  const std::pair<std::string_view, const std::string*> attributes[] = {
      {"space", &request.space},
      {"type", &request.type},
      {"source", &request.source},
      {"id", &request.id},
      {"partitionkey", &request.ordering_key}};
  for (const auto& [name, value] : attributes) {
    if (value->size() > 0xffff) {
      return FieldError(name, fmt::format("must be at most 65535 bytes, is {}", value->size()));
    }
  }
  if (!KnownKind(static_cast<std::uint8_t>(request.kind))) {
    return FieldError("kind", "must be an event or a control record");
  }
  const std::size_t bytes = EncodedBytes(request);
  if (bytes > record_bytes_max) {
    return FieldError("event", fmt::format("must be at most {} bytes with its attributes, is {}",
                                           record_bytes_max, bytes));
  }
  return absl::OkStatus();
}

std::uint64_t ContentHashOf(const AppendRequest& request) {
  if (request.content_hash != 0) return request.content_hash;
  return std::uint64_t{Crc32c(request.body.view())} << 32 |
         static_cast<std::uint32_t>(request.body.size());
}

BatchBuilder::BatchBuilder(Sequence first, std::int64_t time, std::size_t bytes_expected)
    : first_(first), time_(time) {
  bytes_.reserve(kBatchHeaderBytes + bytes_expected);
  bytes_.assign(kBatchHeaderBytes, '\0');
}

Sequence BatchBuilder::Add(const AppendRequest& request, std::uint64_t content_hash) {
  char head[kRecordHeaderBytes];
  Store(head, static_cast<std::uint32_t>(EncodedBytes(request)));
  Store(head + 4, std::uint32_t{0});
  Store(head + 8, content_hash);
  Store(head + 16, static_cast<std::uint32_t>(request.body.size()));
  Store(head + 20, static_cast<std::uint16_t>(request.space.size()));
  Store(head + 22, static_cast<std::uint16_t>(request.type.size()));
  Store(head + 24, static_cast<std::uint16_t>(request.source.size()));
  Store(head + 26, static_cast<std::uint16_t>(request.id.size()));
  Store(head + 28, static_cast<std::uint16_t>(request.ordering_key.size()));
  Store(head + 30, static_cast<std::uint8_t>(request.kind));
  Store(head + 31, std::uint8_t{0});
  if (count_ % kRecordsPerMark == 0) {
    marks_.push_back(static_cast<std::uint32_t>(bytes_.size() - kBatchHeaderBytes));
  }
  bytes_.append(head, sizeof head);
  bytes_.append(request.space).append(request.type).append(request.source);
  bytes_.append(request.id).append(request.ordering_key).append(request.body.view());
  return first_ + count_++;
}

std::string BatchBuilder::Finish(BatchHeader& header) {
  header.first_sequence = first_;
  header.count = count_;
  header.body_bytes = static_cast<std::uint32_t>(bytes_.size() - kBatchHeaderBytes);
  header.time_min = time_;
  header.time_max = time_;
  header.body_crc = Crc32c(std::string_view(bytes_).substr(kBatchHeaderBytes));
  EncodeBatchHeader(header, bytes_.data());
  return std::move(bytes_);
}

}  // namespace penstock::broker
