#include "services/function-executor/drivers/http/webhook_signature.h"

#include <fmt/format.h>

#include <chrono>
#include <string_view>

#include "absl/status/statusor.h"
#include "libs/base/hmac.h"
#include "libs/base/status.h"
#include "libs/protojson/base64.h"

namespace penstock::executor {
namespace {

constexpr std::string_view kKeyPrefix = "whsec_";

absl::StatusOr<std::string> KeyOf(const std::string& name, const std::string& value) {
  if (value.empty()) {
    return absl::FailedPreconditionError(
        fmt::format("the value \"{}\" of the signing secret is empty", name));
  }
  if (!value.starts_with(kKeyPrefix)) return value;
  std::string key;
  const std::string_view text = std::string_view(value).substr(kKeyPrefix.size());
  if (protojson::DecodeBase64(text, &key) && !key.empty()) return key;
  return absl::FailedPreconditionError(fmt::format(
      "the value \"{}\" of the signing secret begins with \"{}\": expected base64 behind it", name,
      kKeyPrefix));
}

}  // namespace

absl::Status SignWebhook(const SecretValues& secret, const std::string& id, WallTime now,
                         http::ClientRequest* request) {
  const auto seconds = std::chrono::floor<std::chrono::seconds>(now).time_since_epoch().count();
  const std::string time = std::to_string(seconds);
  const std::string_view body =
      request->body == nullptr ? std::string_view() : std::string_view(*request->body);
  std::string signatures;
  for (const auto& [name, value] : secret) {
    ASSIGN_OR_RETURN(const std::string key, KeyOf(name, value));
    if (!signatures.empty()) signatures += ' ';
    signatures += "v1,";
    protojson::AppendBase64(HmacSha256(key, {id, ".", time, ".", body}), &signatures);
  }
  if (signatures.empty()) {
    return absl::FailedPreconditionError("the signing secret has no values");
  }
  request->headers.Set("webhook-id", id);
  request->headers.Set("webhook-timestamp", time);
  request->headers.Set("webhook-signature", signatures);
  return absl::OkStatus();
}

}  // namespace penstock::executor
