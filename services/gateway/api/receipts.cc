#include "services/gateway/api/receipts.h"

#include <fmt/format.h>

#include <cstddef>
#include <iterator>

#include "libs/base/status.h"
#include "libs/base/time.h"
#include "libs/protojson/json_writer.h"
#include "libs/protojson/status_json.h"
#include "services/gateway/api/http_call.h"

namespace penstock::gateway {
namespace {

std::string_view StatusName(const PublishResult& result) {
  if (result.duplicate) return "DUPLICATE";
  return result.scheduled ? "SCHEDULED" : "ACCEPTED";
}

void AppendReceipt(std::string_view id, const PublishResult& result, std::string& out) {
  out += "{\"id\":";
  protojson::AppendJsonString(id, &out);
  if (!result.scheduled && !result.due)
    fmt::format_to(std::back_inserter(out), ",\"sequence\":\"{}\"", result.sequence);
  out += ",\"status\":\"";
  out += StatusName(result);
  out += '"';
  if (result.due) {
    fmt::format_to(std::back_inserter(out), ",\"dueTime\":\"{}\"", FormatRfc3339(*result.due));
  }
  if (result.content_differs) out += ",\"contentDiffers\":true";
  out += '}';
}

void AppendRefusal(const Receipt& receipt, std::string& out) {
  out += '{';
  if (!receipt.id.empty()) {
    out += "\"id\":";
    protojson::AppendJsonString(receipt.id, &out);
    out += ',';
  }
  out += "\"error\":";
  out += protojson::StatusToJson(receipt.result.status);
  out += '}';
}

}  // namespace

std::string ReceiptJson(std::string_view id, const PublishResult& result) {
  std::string out;
  out.reserve(64 + id.size());
  AppendReceipt(id, result, out);
  return out;
}

http::Response BatchAnswer(const std::vector<Receipt>& receipts) {
  std::string out = "[";
  std::size_t taken = 0;
  int refusal = 0;
  for (const Receipt& receipt : receipts) {
    if (out.size() > 1) out += ',';
    if (receipt.result.status.ok()) {
      ++taken;
      AppendReceipt(receipt.id, receipt.result, out);
      continue;
    }
    AppendRefusal(receipt, out);
    const int status = HttpStatusOf(receipt.result.status.code());
    refusal = refusal == 0 || refusal == status ? status : 400;
  }
  out += ']';
  if (taken == receipts.size()) return http::Response::Json(202, std::move(out));
  http::Response response = http::Response::Json(taken > 0 ? 207 : refusal, std::move(out));
  if (response.status == 429) response.headers.Set("Retry-After", "1");
  return response;
}

}  // namespace penstock::gateway
