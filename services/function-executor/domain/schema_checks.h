// What functions are given and answer, held against their schemas.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "libs/jsonschema/schema.h"
#include "services/function-executor/domain/invocation.h"

namespace penstock::executor {

// Checks take up to milliseconds, so they run where that harms nobody. Thread-safe.
class SchemaChecks {
 public:
  using Schema = std::shared_ptr<const jsonschema::Schema>;
  // The error of the call, or nothing.
  using Done = std::function<void(std::optional<FunctionError>)>;
  // Runs work on another thread, soon; false when there is no room for it.
  using Apart = std::function<bool(std::function<void()>)>;

  explicit SchemaChecks(Apart apart) : apart_(std::move(apart)) {}

  // `InputError` of type `SchemaViolation` for a payload that is not JSON or does not meet the
  // schema; for a batch each event's payload counts. An empty payload is null. `SystemError` of
  // type `Busy` when there is no room. `done` runs once, perhaps inside this call.
  void CheckInput(Schema schema, Bytes payload, std::string content_type,
                  std::shared_ptr<const Batch> batch, Done done) const;
  // The same for an answer, with `FunctionError`; without room it is `Overloaded`, as the function
  // has run.
  void CheckOutput(Schema schema, Bytes payload, std::string content_type, Done done) const;

 private:
  // `no_room` is the type of the error when there is none.
  void Run(std::function<std::optional<FunctionError>()> check, const char* no_room,
           Done done) const;

  const Apart apart_;
};

}  // namespace penstock::executor
