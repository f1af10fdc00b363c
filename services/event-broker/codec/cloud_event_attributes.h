// The attributes of a serialized CloudEvent, for filters.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <string_view>

#include "services/event-broker/domain/event_record.h"
#include "services/event-broker/domain/filter/filter.h"

namespace penstock::broker {

// Reads a record's attributes in their canonical string form. The context attributes that the
// record carries come from it; the body is parsed when another one is asked for, its data is not
// copied. The record must outlive this object. Not thread-safe.
class CloudEventAttributes final : public AttributeSource {
 public:
  explicit CloudEventAttributes(const EventRecord& record) : record_(record) {}
  std::optional<std::string_view> Attribute(std::string_view name) const override;

 private:
  void Parse() const;

  const EventRecord& record_;
  mutable bool parsed_ = false;
  mutable std::map<std::string, std::string, std::less<>> others_;
};

}  // namespace penstock::broker
