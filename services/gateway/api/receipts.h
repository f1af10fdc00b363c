// Receipts as JSON.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "libs/http/message.h"
#include "services/gateway/ports/event_publisher.h"

namespace penstock::gateway {

// What became of one event of a batch.
struct Receipt {
  // Empty when the event could not be read.
  std::string id;
  PublishResult result;
};

// {"id":"…","sequence":"17","status":"ACCEPTED"}, or without a sequence
// {"id":"…","status":"SCHEDULED","dueTime":"…"}. For a result that is OK.
std::string ReceiptJson(std::string_view id, const PublishResult& result);

// An array of receipts in order; a refused event has {"id":"…","error":{…}}. 202 when all were
// taken (an empty batch too), 207 when some were; when none was, 400, or the one status that all
// refusals have.
http::Response BatchAnswer(const std::vector<Receipt>& receipts);

}  // namespace penstock::gateway
