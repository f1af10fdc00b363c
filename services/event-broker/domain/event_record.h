// What the event log stores and gives back. Header-only: ports and domain both use it.
#pragma once

#include <cstdint>
#include <limits>
#include <memory>
#include <string>
#include <string_view>
#include <utility>

#include "libs/base/time.h"

namespace penstock::broker {

// Position in one log. Increases strictly, may have gaps; compare, never count. The first is 1.
using Sequence = std::uint64_t;
inline constexpr Sequence kNoSequence = 0;
inline constexpr Sequence kMaxSequence = std::numeric_limits<Sequence>::max();

// Immutable bytes shared by everyone who holds a copy. Copying costs a reference count.
class SharedBytes {
 public:
  SharedBytes() = default;
  // Takes the string over without copying its characters.
  explicit SharedBytes(std::string bytes) {
    auto owned = std::make_shared<const std::string>(std::move(bytes));
    view_ = *owned;
    owner_ = std::move(owned);
  }
  // `view` must lie in memory that `owner` keeps alive and unchanged.
  SharedBytes(std::shared_ptr<const void> owner, std::string_view view)
      : owner_(std::move(owner)), view_(view) {}

  std::string_view view() const { return view_; }
  std::size_t size() const { return view_.size(); }
  bool empty() const { return view_.empty(); }

 private:
  std::shared_ptr<const void> owner_;
  std::string_view view_;
};

enum class RecordKind : std::uint8_t {
  kEvent = 1,    // A published event; the body is its serialized CloudEvent.
  kControl = 2,  // A note of the broker to itself (a revision taking effect); the body is opaque to
                 // the log.
};

// One stored record. The views point into memory that `owner` keeps alive (usually the whole batch
// it was written with), so a copy of the record is cheap and safe to pass between threads, but pins
// that batch in memory: call Detached() before keeping one for long.
struct EventRecord {
  Sequence sequence = kNoSequence;
  WallTime append_time{};
  RecordKind kind = RecordKind::kEvent;
  std::string_view space;
  std::string_view type;
  std::string_view source;
  std::string_view id;
  std::string_view ordering_key;  // The partition key; empty when there is none.
  std::string_view body;
  std::uint64_t content_hash = 0;  // As given with the append, or derived from the body.
  std::shared_ptr<const void> owner;

  // The body, sharing this record's memory.
  SharedBytes Body() const { return SharedBytes(owner, body); }

  // A copy that holds its own bytes only.
  EventRecord Detached() const {
    auto bytes = std::make_shared<std::string>();
    bytes->reserve(space.size() + type.size() + source.size() + id.size() + ordering_key.size() +
                   body.size());
    for (const std::string_view part : {space, type, source, id, ordering_key, body}) {
      bytes->append(part);
    }
    EventRecord copy = *this;
    const char* at = bytes->data();
    for (std::string_view* part :
         {&copy.space, &copy.type, &copy.source, &copy.id, &copy.ordering_key, &copy.body}) {
      *part = std::string_view(at, part->size());
      at += part->size();
    }
    copy.owner = std::move(bytes);
    return copy;
  }
};

}  // namespace penstock::broker
