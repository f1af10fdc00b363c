#include "tests/sim/events.h"

#include <io/cloudevents/v1/cloudevents.pb.h>

namespace penstock::broker::sim {
namespace {

using io::cloudevents::v1::CloudEvent;

constexpr char kPoison[] = "poison";

std::string TextOf(std::string_view body, const char* name) {
  CloudEvent event;
  event.ParseFromArray(body.data(), static_cast<int>(body.size()));
  const auto at = event.attributes().find(name);
  return at == event.attributes().end() ? "" : at->second.ce_string();
}

}  // namespace

AppendRequest MakeEvent(const EventPlan& plan) {
  CloudEvent event;
  event.set_id(plan.id);
  event.set_source("/sim");
  event.set_spec_version("1.0");
  event.set_type(plan.type);
  auto& attributes = *event.mutable_attributes();
  attributes["color"].set_ce_string(plan.color);
  if (!plan.key.empty()) attributes["partitionkey"].set_ce_string(plan.key);
  if (plan.expires) attributes["expirytime"].set_ce_string(FormatRfc3339(*plan.expires));
  event.set_text_data((plan.poison ? kPoison : "") + std::string(plan.padding, 'x'));
  AppendRequest request;
  request.space = plan.space;
  request.type = plan.type;
  request.source = "/sim";
  request.id = plan.id;
  request.ordering_key = plan.key;
  request.content_hash = 7;
  std::string bytes;
  event.SerializeToString(&bytes);
  request.body = SharedBytes(std::move(bytes));
  return request;
}

bool IsPoison(std::string_view body) { return body.find(kPoison) != std::string_view::npos; }
std::string ColorOf(std::string_view body) { return TextOf(body, "color"); }
bool HasExpiry(std::string_view body) { return body.find("expirytime") != std::string_view::npos; }

std::string MakeReplyEvent() {
  CloudEvent event;
  event.set_source("/sim/functions");
  event.set_spec_version("1.0");
  event.set_type("reply");
  (*event.mutable_attributes())["color"].set_ce_string("red");
  event.set_text_data("an answer");
  return event.SerializeAsString();
}

}  // namespace penstock::broker::sim
