// Function specifications as the text in which the store keeps them.
#pragma once

#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "services/function-manager/domain/function.h"

namespace penstock::functions {

// Everything of `spec` but its metadata, as a JSON object. Fields are added only with a default
// that means what their absence meant before.
std::string SpecToJson(const FunctionSpec& spec);

// The inverse; DATA_LOSS when `json` is not what SpecToJson wrote.
absl::StatusOr<FunctionSpec> SpecFromJson(std::string_view json);

// What is kept beside the versions: a split as [[version, percent], …], aliases as {name: [version,
// generation], …}. The inverses give DATA_LOSS for anything else.
std::string TrafficToJson(const std::vector<TrafficTarget>& traffic);
absl::StatusOr<std::vector<TrafficTarget>> TrafficFromJson(std::string_view json);
std::string AliasesToJson(const std::map<std::string, Alias>& aliases);
absl::StatusOr<std::map<std::string, Alias>> AliasesFromJson(std::string_view json);

// A JSON object of strings.
std::string StringsToJson(const std::map<std::string, std::string>& strings);
absl::StatusOr<std::map<std::string, std::string>> StringsFromJson(std::string_view json);

}  // namespace penstock::functions
