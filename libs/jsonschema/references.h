// What references name, and where they lead in circles. Internal to libs/jsonschema.
#pragma once

#include <boost/json/object.hpp>
#include <map>
#include <string>
#include <string_view>
#include <utility>

#include "absl/status/statusor.h"
#include "libs/jsonschema/nodes.h"

namespace penstock::jsonschema {

// What references inside a subschema are relative to.
struct Scope {
  std::string root;  // Pointer to the schema with the nearest `$id`.
  std::string id;    // That one, without a fragment.
};

// The schemas of a document that have names of their own.
class NamedSchemas {
 public:
  // Takes `$id` and anchors of the schema at `pointer`; an `$id` begins a scope. Gives the keyword
  // that is no text, or nothing.
  std::string_view Add(const boost::json::object& schema, const std::string& pointer, Scope& scope);

  // The pointer that a `$ref` means. The error says why there is none.
  absl::StatusOr<std::string> Locate(std::string_view target, const Scope& scope) const;

 private:
  std::map<std::string, std::string> ids_;                              // To pointers.
  std::map<std::pair<std::string, std::string>, std::string> anchors_;  // By root and name.
};

// A schema that comes back to itself at the same place of a value, which would never end; kNone
// when there is none.
NodeId FindCircle(const Nodes& nodes);

}  // namespace penstock::jsonschema
