#include "services/function-executor/domain/middleware/call_key.h"

#include <fmt/format.h>

#include <boost/json/serialize.hpp>

#include "libs/base/ids.h"

namespace penstock::executor {

void KeyDigest::Add(std::string_view text) { text_ += fmt::format("{}:{}", text.size(), text); }

std::string KeyDigest::Value() const { return Sha256Hex(text_); }

std::string LowerCase(std::string_view text) {
  std::string lower(text);
  for (char& c : lower) {
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c + 32);
  }
  return lower;
}

std::string HeaderOf(const Invocation& call, std::string_view name) {
  if (call.http) {
    for (const auto& [header, value] : call.http->headers) {
      if (LowerCase(header) == name) return value;
    }
    return {};
  }
  if (!call.event) return {};
  if (name == "id") return call.event->id;
  if (name == "source") return call.event->source;
  if (name == "type") return call.event->type;
  const auto found = call.event->others.find(std::string(name));
  return found == call.event->others.end() ? std::string() : found->second;
}

void AddHttp(const Invocation& call, const std::vector<std::string_view>& headers, KeyDigest* key) {
  if (!call.http) return key->Add("");
  key->Add(call.http->method);
  key->Add(call.http->host);
  key->Add(call.http->path);
  key->Add(std::to_string(call.http->query.size()));
  for (const auto& [name, value] : call.http->query) {
    key->Add(name);
    key->Add(value);
  }
  for (const std::string_view header : headers) key->Add(HeaderOf(call, header));
}

void AddPayload(const Step& step, const std::vector<JsonPlace>& places, KeyDigest* key) {
  const auto value = places.empty() ? std::nullopt : ParseJsonBody(*step.payload());
  if (!value) {
    key->Add(step.content_type());
    return key->Add(*step.payload());
  }
  for (const JsonPlace& place : places) {
    const boost::json::value* const found = place.Find(*value);
    key->Add(found == nullptr ? std::string() : boost::json::serialize(*found));
  }
}

absl::StatusOr<std::vector<JsonPlace>> ParsePlaces(std::string_view setting,
                                                   const std::vector<std::string>& pointers) {
  std::vector<JsonPlace> places;
  for (const std::string& pointer : pointers) {
    auto place = JsonPlace::Parse(pointer);
    if (!place.ok()) {
      return absl::InvalidArgumentError(
          fmt::format("{}: {}", setting, std::string(place.status().message())));
    }
    places.push_back(*std::move(place));
  }
  return places;
}

}  // namespace penstock::executor
