#include "services/gateway/domain/revision_memory.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <utility>

#include "libs/base/status.h"

namespace penstock::gateway {
namespace {

constexpr std::size_t kRevisionsMax = 16;

bool IsServiceName(std::string_view name) {
  return !name.empty() && name.size() <= 63 && std::all_of(name.begin(), name.end(), [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-';
  });
}

std::string_view Trimmed(std::string_view text) {
  while (text.starts_with(' ')) text.remove_prefix(1);
  while (text.ends_with(' ')) text.remove_suffix(1);
  return text;
}

}  // namespace

std::string Revision::ToString() const { return fmt::format("{}:{}", service, number); }

absl::StatusOr<Revision> ParseRevision(std::string_view text) {
  const std::size_t colon = text.find(':');
  Revision revision;
  if (colon != std::string_view::npos && IsServiceName(text.substr(0, colon))) {
    revision.service = text.substr(0, colon);
    const char* const end = text.data() + text.size();
    const auto [stop, error] = std::from_chars(text.data() + colon + 1, end, revision.number);
    if (error == std::errc() && stop == end && revision.number >= 0) return revision;
  }
  return FieldError("Penstock-Revision",
                    "expected \"<service>:<number>\", as an earlier answer gave it");
}

absl::StatusOr<std::vector<Revision>> ParseRevisions(std::string_view text) {
  std::vector<Revision> revisions;
  while (!text.empty()) {
    const std::size_t comma = std::min(text.find(','), text.size());
    ASSIGN_OR_RETURN(Revision revision, ParseRevision(Trimmed(text.substr(0, comma))));
    revisions.push_back(std::move(revision));
    if (revisions.size() > kRevisionsMax) {
      return FieldError("Penstock-Revision", "expected at most 16 revisions");
    }
    text.remove_prefix(std::min(comma + 1, text.size()));
  }
  return revisions;
}

RevisionMemory::RevisionMemory(std::size_t spaces_max) : spaces_max_(spaces_max) {}

void RevisionMemory::Remember(std::string_view space, const Revision& revision) {
  const std::lock_guard lock(mutex_);
  auto found = spaces_.find(space);
  if (found == spaces_.end()) {
    if (spaces_.size() >= spaces_max_) spaces_.erase(spaces_.begin());
    found = spaces_.emplace(std::string(space), ByService()).first;
  }
  std::int64_t& known = found->second[revision.service];
  known = std::max(known, revision.number);
}

std::vector<std::string> RevisionMemory::For(std::string_view space,
                                             const std::vector<Revision>& echoed) const {
  ByService highest;
  {
    const std::lock_guard lock(mutex_);
    if (const auto found = spaces_.find(space); found != spaces_.end()) highest = found->second;
  }
  for (const Revision& revision : echoed) {
    std::int64_t& known = highest[revision.service];
    known = std::max(known, revision.number);
  }
  std::vector<std::string> texts;
  for (const auto& [service, number] : highest)
    texts.push_back(Revision{service, number}.ToString());
  return texts;
}

}  // namespace penstock::gateway
