// An invocation of an HTTP function, to be changed by tests.
#pragma once

#include <memory>
#include <string>
#include <utility>

#include "services/function-executor/domain/invocation.h"

namespace penstock::executor {

inline std::shared_ptr<FunctionSpec> HttpFunction(const std::string& url,
                                                  HttpFormat format = HttpFormat::kBinary) {
  auto function = std::make_shared<FunctionSpec>();
  function->space = "default";
  function->id = "f";
  function->uid = "u";
  function->version = 4;
  HttpTarget target;
  target.url = url;
  target.format = format;
  function->target = std::move(target);
  return function;
}

// A direct call; its deadline is left to the test.
inline Invocation DirectCall(std::shared_ptr<const FunctionSpec> function,
                             const std::string& payload = "hello") {
  Invocation invocation;
  invocation.execution_id = "0a1b2c3d-1";
  invocation.function = std::move(function);
  invocation.payload = std::make_shared<const std::string>(payload);
  invocation.content_type = "text/plain";
  invocation.traceparent = "00-00000000000000000000000000000001-0000000000000002-01";
  return invocation;
}

inline Invocation EventDelivery(std::shared_ptr<const FunctionSpec> function,
                                const std::string& payload = R"({"name":"ü"})") {
  Invocation invocation = DirectCall(std::move(function), payload);
  invocation.trigger = TriggerKind::kEvent;
  invocation.content_type = "application/json";
  invocation.event = EventAttributes{"e 1",
                                     "/shop",
                                     "user.created",
                                     "1.0",
                                     {{"datacontenttype", "application/json"},
                                      {"subject", "a\r\nInjected: yes"},
                                      {"time", "2026-01-02T03:04:05Z"}}};
  invocation.delivery_id = "d-1";
  invocation.attempt = 2;
  return invocation;
}

inline Invocation HttpEvent(std::shared_ptr<const FunctionSpec> function,
                            const std::string& payload = "body") {
  Invocation invocation = DirectCall(std::move(function), payload);
  invocation.trigger = TriggerKind::kHttp;
  HttpRequestContext http;
  http.method = "PUT";
  http.path = "/users/j\xC3\xBCrg x";
  http.host = "shop.example";
  http.query = {{"a", "1"}, {"b", "x y"}};
  http.headers = {
      {"accept", "text/html"},  {"connection", "upgrade"},     {"content-length", "999"},
      {"host", "shop.example"}, {"penstock-principal", "eve"}, {"x-list", "1"},
      {"x-list", "2"}};
  invocation.http = std::move(http);
  return invocation;
}

}  // namespace penstock::executor
