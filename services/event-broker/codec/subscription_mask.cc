// Updates of some fields of a subscription.
#include <fmt/format.h>

#include <array>
#include <string_view>
#include <utility>

#include "libs/base/status.h"
#include "services/event-broker/codec/subscription_codec.h"

namespace penstock::broker {
namespace {

namespace pb = penstock::events::v1;
using google::protobuf::FieldDescriptor;

// The fields that clients may change, by their path. `start` is among them so that what was read
// can be sent back.
constexpr std::array<const char*, 17> kFields = {"event_type",
                                                 "function",
                                                 "filters",
                                                 "metadata",
                                                 "max_in_flight",
                                                 "retry",
                                                 "timeout",
                                                 "http",
                                                 "ordering",
                                                 "rate_limit",
                                                 "batching",
                                                 "dead_letter_sink",
                                                 "time_to_live",
                                                 "start",
                                                 "pull",
                                                 "group",
                                                 "*"};

bool IsKnown(std::string_view path) {
  for (const char* field : kFields) {
    if (path == field) return true;
  }
  return false;
}

const FieldDescriptor* FieldOf(std::string_view path) {
  return pb::Subscription::descriptor()->FindFieldByName(std::string(path));
}

bool IsSet(const pb::Subscription& message, const FieldDescriptor* field) {
  const auto* reflection = message.GetReflection();
  return field->is_repeated() ? reflection->FieldSize(message, field) > 0
                              : reflection->HasField(message, field);
}

// The whole field, set or unset.
void CopyField(const std::string& path, const pb::Subscription& from, pb::Subscription& target) {
  const FieldDescriptor* field = FieldOf(path);
  target.GetReflection()->ClearField(&target, field);
  if (!IsSet(from, field)) return;
  pb::Subscription only = from;
  std::vector<const FieldDescriptor*> set;
  only.GetReflection()->ListFields(only, &set);
  for (const FieldDescriptor* other : set) {
    if (other != field) only.GetReflection()->ClearField(&only, other);
  }
  target.MergeFrom(only);
}

absl::Status RefusePath(const std::string& path) {
  const std::string head = path.substr(0, path.find('.'));
  if (head != path && head != "*" && IsKnown(head)) {
    return FieldError("updateMask", fmt::format("\"{}\" names a part of \"{}\": name \"{}\" and "
                                                "send it whole",
                                                path, head, head));
  }
  std::string known;
  for (const char* field : kFields) known += (known.empty() ? "" : ", ") + std::string(field);
  return FieldError(
      "updateMask",
      fmt::format("\"{}\" is not a field that can change: expected one of {}", path, known));
}

}  // namespace

std::set<std::string> PathsSet(const pb::Subscription& message) {
  std::set<std::string> paths;
  for (const std::string path : kFields) {
    if (path != "*" && IsSet(message, FieldOf(path))) paths.insert(path);
  }
  return paths;
}

absl::Status ApplyMask(const std::set<std::string>& paths, const pb::Subscription& from,
                       pb::Subscription& target) {
  for (const std::string& path : paths) {
    if (!IsKnown(path)) return RefusePath(path);
  }
  const bool all = paths.contains("*");
  for (const std::string path : kFields) {
    if (path == "*" || !(all || paths.contains(path))) continue;
    if (path == "start" && !paths.contains(path) && !from.has_start()) continue;
    CopyField(path, from, target);
  }
  return absl::OkStatus();
}

absl::Status ApplyUpdate(const std::set<std::string>& paths, const pb::Subscription& given,
                         Subscription& current) {
  pb::Subscription merged = ToProto(current);
  RETURN_IF_ERROR(ApplyMask(paths, given, merged));
  // A path has no start; becoming one is refused by the domain, with a reason of its own.
  if (merged.has_http() && !given.has_start()) merged.clear_start();
  ASSIGN_OR_RETURN(Subscription edited, FromProto(merged, current.space));
  if (!merged.has_http() && !edited.start.AsksLike(current.start)) {
    return FieldError("start", "can only be set when a subscription is created");
  }
  current.event_type = std::move(edited.event_type);
  current.function = std::move(edited.function);
  current.filters = std::move(edited.filters);
  current.metadata = std::move(edited.metadata);
  current.retry = std::move(edited.retry);
  current.timeout = edited.timeout;
  current.in_flight_max = edited.in_flight_max;
  current.http = std::move(edited.http);
  current.ordering = std::move(edited.ordering);
  current.rate_limit = edited.rate_limit;
  current.batching = edited.batching;
  current.dead_letter_sink = std::move(edited.dead_letter_sink);
  current.time_to_live = edited.time_to_live;
  current.pull = edited.pull;
  current.group = std::move(edited.group);
  return absl::OkStatus();
}

}  // namespace penstock::broker
