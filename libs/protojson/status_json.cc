#include "libs/protojson/status_json.h"

#include <google/protobuf/any.pb.h>

#include <string_view>
#include <vector>

#include "libs/base/status_details.h"
#include "libs/protojson/json_writer.h"
#include "libs/protojson/protojson.h"

namespace penstock::protojson {

std::string StatusToJson(const absl::Status& status) {
  std::vector<std::string> details;
  status.ForEachPayload([&](absl::string_view url, const absl::Cord& payload) {
    google::protobuf::Any any;
    any.set_type_url(DetailType(url));
    any.set_value(std::string(payload));
    if (auto detail = PrintJson(any); detail.ok()) details.push_back(*std::move(detail));
  });
  std::string out;
  JsonWriter writer(&out);
  writer.BeginObject();
  writer.Key("code");
  writer.Int(static_cast<int>(status.code()));
  writer.Key("message");
  writer.String(std::string_view(status.message().data(), status.message().size()));
  if (!details.empty()) {
    writer.Key("details");
    writer.BeginArray();
    for (const std::string& detail : details) writer.RawJson(detail);
    writer.EndArray();
  }
  writer.EndObject();
  return out;
}

}  // namespace penstock::protojson
