// Errors as values: constructors for absl::Status with the details that clients of every surface
// see.
//
// Details travel as absl::Status payloads keyed by the protobuf type URL of google.rpc messages, so
// that libs/rpc and libs/protojson can pass them on without knowing who made them.
#pragma once

#include <map>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"

namespace penstock {

inline constexpr char kBadRequestUrl[] = "type.googleapis.com/google.rpc.BadRequest";
inline constexpr char kErrorInfoUrl[] = "type.googleapis.com/google.rpc.ErrorInfo";
inline constexpr char kRetryInfoUrl[] = "type.googleapis.com/google.rpc.RetryInfo";

// INVALID_ARGUMENT about one field. The message reads "<field>: <description>".
absl::Status FieldError(std::string_view field, std::string_view description);

struct FieldViolation {
  std::string field;
  std::string description;
};

// INVALID_ARGUMENT about several fields; OK when `violations` is empty.
absl::Status FieldErrors(const std::vector<FieldViolation>& violations);

// The violations carried by `status`, empty when there are none.
std::vector<FieldViolation> FieldViolationsOf(const absl::Status& status);

// Prefixes the field of each violation in `status` (and its message) with `prefix` and a dot.
// A status without violations comes back unchanged.
absl::Status UnderField(std::string_view prefix, const absl::Status& status);

// Adds google.rpc.ErrorInfo with domain "penstock" and returns the status.
absl::Status WithReason(absl::Status status, std::string_view reason,
                        const std::map<std::string, std::string>& metadata = {});

// The reason of the ErrorInfo carried by `status`, or empty.
std::string ReasonOf(const absl::Status& status);

// Adds google.rpc.RetryInfo and returns the status.
absl::Status WithRetryAfter(absl::Status status, absl::Duration delay);

// The delay of the RetryInfo carried by `status`; zero when there is none.
absl::Duration RetryAfterOf(const absl::Status& status);

// The HTTP status for a code, after google.rpc.Code's mapping. The only such table.
int HttpStatusOf(absl::StatusCode code);

// The code for an HTTP status of an upstream, for callers that have nothing better.
absl::StatusCode CodeOfHttpStatus(int http_status);

// The upper snake case name of a code as google.rpc.Code spells it, for example "NOT_FOUND".
std::string_view CodeName(absl::StatusCode code);

// Two macros that every C++ code base with absl::Status writes.
#define PENSTOCK_CONCAT_INNER(a, b) a##b
#define PENSTOCK_CONCAT(a, b) PENSTOCK_CONCAT_INNER(a, b)

// Returns from the enclosing function when `expression` is a status that is not OK.
#define RETURN_IF_ERROR(expression)                                     \
  do {                                                                  \
    if (absl::Status status_or_ok = (expression); !status_or_ok.ok()) { \
      return status_or_ok;                                              \
    }                                                                   \
  } while (false)

// Evaluates an absl::StatusOr; assigns its value to `declaration`, or returns its status.
#define ASSIGN_OR_RETURN(declaration, expression) \
  ASSIGN_OR_RETURN_IMPL(PENSTOCK_CONCAT(status_or_, __LINE__), declaration, expression)
#define ASSIGN_OR_RETURN_IMPL(variable, declaration, expression) \
  auto variable = (expression);                                  \
  if (!variable.ok()) return std::move(variable).status();       \
  declaration = *std::move(variable)

}  // namespace penstock
