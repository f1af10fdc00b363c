#include "services/gateway/broker/publish_encoder.h"

#include <google/protobuf/io/coded_stream.h>

#include <utility>

namespace penstock::gateway {
namespace {

using google::protobuf::io::CodedOutputStream;

// Tags of penstock/events/v1/broker.proto: (field number << 3) | wire type.
constexpr char kEntries = 1 << 3 | 2;
constexpr char kCorrelationId = 1 << 3;
constexpr char kSpace = 2 << 3 | 2;
constexpr char kEvent = 3 << 3 | 2;

void AppendVarint(std::uint64_t value, std::string& out) {
  while (value >= 0x80) {
    out += static_cast<char>(value | 0x80);
    value >>= 7;
  }
  out += static_cast<char>(value);
}

std::size_t FieldSize(std::string_view content) {
  return 1 + CodedOutputStream::VarintSize64(content.size()) + content.size();
}

void AppendField(char tag, std::string_view content, std::string& out) {
  out += tag;
  AppendVarint(content.size(), out);
  out += content;
}

}  // namespace

void PublishEncoder::Add(std::int64_t correlation_id, std::string_view space,
                         std::string_view event) {
  const auto correlation = static_cast<std::uint64_t>(correlation_id);
  const std::size_t size =
      1 + CodedOutputStream::VarintSize64(correlation) + FieldSize(space) + FieldSize(event);
  if (messages_.empty() || messages_.back().events >= limits_.events_max ||
      messages_.back().message.bytes.size() + size > limits_.bytes_max) {
    messages_.emplace_back();
  }
  Open& open = messages_.back();
  std::string& out = open.message.bytes;
  out += kEntries;
  AppendVarint(size, out);
  out += kCorrelationId;
  AppendVarint(correlation, out);
  AppendField(kSpace, space, out);
  AppendField(kEvent, event, out);
  open.message.end = correlation_id + 1;
  ++open.events;
}

PublishEncoder::Message PublishEncoder::Take() {
  Message message = std::move(messages_.front().message);
  messages_.pop_front();
  return message;
}

void PublishEncoder::Clear() { messages_.clear(); }

}  // namespace penstock::gateway
