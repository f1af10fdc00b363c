// Functions for tests.
#pragma once

#include <string>

#include "services/function-manager/domain/function.h"
#include "services/function-manager/domain/update.h"

namespace penstock::functions {

inline FunctionSpec HttpSpec(const std::string& url = "http://127.0.0.1:9999/") {
  FunctionSpec spec;
  spec.driver = HttpDriver{.url = url, .format = HttpFormat::kBinary, .headers = {}};
  return spec;
}

inline FunctionSpec PythonSpec(
    const std::string& source = "def handle(ctx, payload): return payload\n") {
  FunctionSpec spec;
  ProcessDriver process;
  process.runtime = "python3";
  process.source = source;
  process.handler = "handle";
  spec.driver = process;
  return spec;
}

inline FunctionSpec NoopSpec() {
  FunctionSpec spec;
  spec.driver = NoopDriver{};
  return spec;
}

inline Function NamedFunction(const std::string& id, FunctionSpec spec = NoopSpec(),
                              const std::string& space = "default") {
  Function function;
  function.name = {space, id};
  function.uid = "uid-" + space + "-" + id;
  function.create_time = FromUnixMicros(1'700'000'000'000'001);
  function.update_time = function.create_time;
  function.creator = "alice";
  function.spec = std::move(spec);
  return function;
}

// `function` as the store gives it when it is asked for a version.
inline Function AsVersion(Function function) {
  function.is_version = true;
  function.generation = 1;
  function.traffic.clear();
  function.aliases.clear();
  return function;
}

}  // namespace penstock::functions
