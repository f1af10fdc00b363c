// A schema in the first line, a value in the rest: a value is valid exactly when it is not valid
// for the schema's negation.
#include <boost/json/parse.hpp>
#include <string>
#include <string_view>

#include "libs/jsonschema/schema.h"
#include "tests/fuzz/check.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  namespace json = boost::json;
  namespace jsonschema = penstock::jsonschema;
  std::string_view value_text = penstock::FuzzText(data, size);
  const std::string schema_text(penstock::TakeUntil(value_text, '\n'));
  jsonschema::Limits limits;
  limits.steps_max = 20'000;
  const auto schema = jsonschema::Schema::Parse(schema_text, "schema", limits);
  if (!schema.ok()) {
    FUZZ_CHECK(schema.status().code() == absl::StatusCode::kInvalidArgument);
    return 0;
  }
  json::error_code error;
  const json::value value =
      json::parse(json::string_view(value_text.data(), value_text.size()), error);
  if (error) return 0;
  const auto violations = (*schema)->Validate(value);
  // Where it stands inside another one, its references lead elsewhere.
  if (schema_text.find("$ref") != std::string::npos) return 0;
  const std::string negated = R"({"not":)" + schema_text + "}";
  const auto opposite = jsonschema::Schema::Parse(negated, "schema", limits);
  if (!opposite.ok() || !violations.ok()) return 0;
  const auto found = (*opposite)->Validate(value);
  if (found.ok()) FUZZ_CHECK(found->empty() != violations->empty());
  return 0;
}
