#include "services/function-executor/domain/content_type.h"

#include <string>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"

namespace penstock::executor {
namespace {

// "application/JSON; charset=utf-8" gives "application/json".
std::string MediaType(std::string_view content_type) {
  std::string type(content_type.substr(0, content_type.find(';')));
  absl::StripAsciiWhitespace(&type);
  absl::AsciiStrToLower(&type);
  return type;
}

}  // namespace

bool IsJsonContentType(std::string_view content_type) {
  const std::string type = MediaType(content_type);
  return type == "application/json" || absl::EndsWith(type, "+json");
}

bool IsTextContentType(std::string_view content_type) {
  const std::string type = MediaType(content_type);
  return absl::StartsWith(type, "text/") || type == "application/x-www-form-urlencoded";
}

}  // namespace penstock::executor
