#include "services/event-broker/codec/filter_codec.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "libs/base/status.h"

namespace penstock::broker {
namespace {

namespace pb = penstock::events::v1;

constexpr int kFilterDepthMax = 16;  // The domain allows 8; this only bounds the recursion here.

std::vector<std::pair<std::string, std::string>> Sorted(
    const google::protobuf::Map<std::string, std::string>& map) {
  std::vector<std::pair<std::string, std::string>> pairs(map.begin(), map.end());
  std::sort(pairs.begin(), pairs.end());
  return pairs;
}

absl::StatusOr<Filter> ReadFilter(const pb::Filter& message, const std::string& path, int depth) {
  if (depth > kFilterDepthMax) return FieldError(path, "is nested too deep");
  const int set = !message.exact().empty() + !message.prefix().empty() + !message.suffix().empty() +
                  !message.all().empty() + !message.any().empty() + message.has_not_();
  if (set != 1) {
    return FieldError(path, "expected exactly one of exact, prefix, suffix, all, any, not");
  }
  Filter filter;
  const auto children = [&](const auto& list, const char* name) -> absl::Status {
    for (int i = 0; i < list.size(); ++i) {
      ASSIGN_OR_RETURN(Filter child,
                       ReadFilter(list[i], fmt::format("{}.{}[{}]", path, name, i), depth + 1));
      filter.children.push_back(std::move(child));
    }
    return absl::OkStatus();
  };
  if (!message.exact().empty()) {
    filter.kind = Filter::Kind::kExact;
    filter.attributes = Sorted(message.exact());
  } else if (!message.prefix().empty()) {
    filter.kind = Filter::Kind::kPrefix;
    filter.attributes = Sorted(message.prefix());
  } else if (!message.suffix().empty()) {
    filter.kind = Filter::Kind::kSuffix;
    filter.attributes = Sorted(message.suffix());
  } else if (!message.all().empty()) {
    filter.kind = Filter::Kind::kAll;
    RETURN_IF_ERROR(children(message.all(), "all"));
  } else if (!message.any().empty()) {
    filter.kind = Filter::Kind::kAny;
    RETURN_IF_ERROR(children(message.any(), "any"));
  } else {
    filter.kind = Filter::Kind::kNot;
    ASSIGN_OR_RETURN(Filter child, ReadFilter(message.not_(), path + ".not", depth + 1));
    filter.children.push_back(std::move(child));
  }
  return filter;
}

}  // namespace

pb::Filter ToProto(const Filter& filter) {
  pb::Filter message;
  const auto fill = [&](google::protobuf::Map<std::string, std::string>* map) {
    for (const auto& [name, value] : filter.attributes) (*map)[name] = value;
  };
  switch (filter.kind) {
    case Filter::Kind::kExact: fill(message.mutable_exact()); break;
    case Filter::Kind::kPrefix: fill(message.mutable_prefix()); break;
    case Filter::Kind::kSuffix: fill(message.mutable_suffix()); break;
    case Filter::Kind::kAll:
      for (const Filter& child : filter.children) *message.add_all() = ToProto(child);
      break;
    case Filter::Kind::kAny:
      for (const Filter& child : filter.children) *message.add_any() = ToProto(child);
      break;
    case Filter::Kind::kNot: *message.mutable_not_() = ToProto(filter.children.front()); break;
  }
  return message;
}

absl::StatusOr<std::vector<Filter>> FromProto(
    const google::protobuf::RepeatedPtrField<pb::Filter>& filters) {
  std::vector<Filter> read;
  for (int i = 0; i < filters.size(); ++i) {
    ASSIGN_OR_RETURN(Filter filter, ReadFilter(filters[i], fmt::format("filters[{}]", i), 1));
    read.push_back(std::move(filter));
  }
  return read;
}

}  // namespace penstock::broker
