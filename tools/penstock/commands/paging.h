// Lists over all their pages.
#pragma once

#include <algorithm>
#include <cstdint>
#include <string>

#include "absl/status/statusor.h"
#include "libs/base/status.h"
#include "tools/penstock/commands/context.h"

namespace penstock::cli {

inline constexpr int kPageSize = 500;

// Calls a list method until its last page, or until `limit` items (0: no limit), and gives all
// items in one answer. `items` gives a pointer to the repeated field of an answer.
template <typename Response, typename Request, typename Items>
absl::StatusOr<Response> ListAll(Context& context, const std::string& method, Request request,
                                 Items items, int limit) {
  Response all;
  auto& collected = *items(all);
  for (;;) {
    const int wanted = limit == 0 ? kPageSize : std::min(kPageSize, limit - collected.size());
    request.set_page_size(wanted);
    ASSIGN_OR_RETURN(Response page, context.client().Call<Response>(method, request));
    const std::string token = page.next_page_token();
    auto& found = *items(page);
    for (auto& item : found) *collected.Add() = std::move(item);
    if (token.empty() || (limit > 0 && collected.size() >= limit)) break;
    request.set_page_token(token);
  }
  return all;
}

}  // namespace penstock::cli
