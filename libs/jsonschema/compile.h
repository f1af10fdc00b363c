// From a document to nodes. Internal to libs/jsonschema.
#pragma once

#include <boost/json/value.hpp>
#include <memory>
#include <string_view>

#include "absl/status/statusor.h"
#include "libs/jsonschema/nodes.h"
#include "libs/jsonschema/schema.h"

namespace penstock::jsonschema {

// As Schema::Compile says.
absl::StatusOr<std::unique_ptr<const Nodes>> CompileNodes(const boost::json::value& document,
                                                          std::string_view field,
                                                          const Limits& limits);

}  // namespace penstock::jsonschema
