#include "services/gateway/api/publish_api.h"

#include <span>
#include <utility>
#include <vector>

#include "libs/base/names.h"
#include "libs/base/status.h"
#include "services/gateway/api/receipts.h"

namespace penstock::gateway {
namespace {

// A batch while its receipts come in, on the call's loop.
struct Batch {
  std::shared_ptr<HttpCall> call;
  std::vector<Receipt> receipts;
  std::size_t open = 0;

  void Answer() { call->Respond(BatchAnswer(receipts)); }
};

}  // namespace

PublishApi::PublishApi(EventPublisher& publisher, const EventInputLimits& limits)
    : publisher_(publisher), limits_(limits) {}

void PublishApi::Publish(const std::shared_ptr<HttpCall>& call, std::string_view space) {
  call->set_surface(Surface::kPublish);
  auto resolved = space.empty() ? SpaceOf(call->request.headers)
                                : absl::StatusOr<std::string>(std::string(space));
  if (resolved.ok() && !space.empty()) {
    if (absl::Status checked = CheckSpace("space", space); !checked.ok()) resolved = checked;
  }
  if (!resolved.ok()) return call->Fail(resolved.status());
  EventInput input;
  InputError error;
  if (!ReadEvents(call->request, *resolved, call->env().clock.Wall(), limits_, &input, &error)) {
    const int status = error.http_status;
    return call->Respond(status == 0 ? ErrorAnswer(error.status)
                                     : ErrorAnswer(status, error.status));
  }
  Take(call, *resolved, std::move(input));
}

void PublishApi::Emit(const std::shared_ptr<HttpCall>& call) {
  call->set_surface(Surface::kPublish);
  const auto space = SpaceOf(call->request.headers);
  if (!space.ok()) return call->Fail(space.status());
  EventInput input;
  InputError error;
  if (!ReadEmit(call->request, *space, call->env().clock.Wall(), limits_, &input, &error)) {
    const int status = error.http_status;
    return call->Respond(status == 0 ? ErrorAnswer(error.status)
                                     : ErrorAnswer(status, error.status));
  }
  Take(call, *space, std::move(input));
}

void PublishApi::Take(const std::shared_ptr<HttpCall>& call, const std::string& space,
                      EventInput input) {
  if (input.batch) return TakeBatch(call, space, std::move(input));
  TakeOne(call, space, std::move(input.events.front()));
}

void PublishApi::TakeOne(const std::shared_ptr<HttpCall>& call, const std::string& space,
                         InputEvent event) {
  PublishOrder order;
  order.event = std::move(event.bytes);
  order.done = [call, id = std::move(event.id)](const PublishResult& result) {
    if (!result.status.ok()) return call->Fail(result.status);
    call->Respond(http::Response::Json(202, ReceiptJson(id, result)));
  };
  const absl::Status taken = publisher_.Publish(call->loop(), space, std::span(&order, 1));
  if (!taken.ok()) call->Fail(taken);
}

void PublishApi::TakeBatch(const std::shared_ptr<HttpCall>& call, const std::string& space,
                           EventInput input) {
  const auto batch = std::make_shared<Batch>();
  batch->call = call;
  std::vector<PublishOrder> orders;
  for (InputEvent& event : input.events) {
    const std::size_t index = batch->receipts.size();
    batch->receipts.push_back({std::move(event.id), {.status = event.status}});
    if (!event.status.ok()) continue;
    orders.push_back({std::move(event.bytes), [batch, index](const PublishResult& result) {
                        batch->receipts[index].result = result;
                        if (--batch->open == 0) batch->Answer();
                      }});
  }
  batch->open = orders.size();
  if (orders.empty()) return batch->Answer();
  const absl::Status taken = publisher_.Publish(call->loop(), space, orders);
  if (!taken.ok()) call->Fail(taken);
}

}  // namespace penstock::gateway
