// A value against nodes. Internal to libs/jsonschema.
#pragma once

#include <boost/json/value.hpp>
#include <vector>

#include "absl/status/statusor.h"
#include "libs/jsonschema/nodes.h"
#include "libs/jsonschema/schema.h"

namespace penstock::jsonschema {

// As Schema::Validate says.
absl::StatusOr<std::vector<Violation>> ValidateNodes(const Nodes& nodes,
                                                     const boost::json::value& value,
                                                     const Limits& limits);

}  // namespace penstock::jsonschema
