// Path templates, matching, and requests built of path, query and body: `method target body`, with
// a template as the first line.
#include <penstock/fuzz/sample.pb.h>

#include <vector>

#include "libs/protojson/protojson.h"
#include "libs/transcode/path_template.h"
#include "libs/transcode/route_table.h"
#include "libs/transcode/transcoder.h"
#include "tests/fuzz/check.h"

namespace penstock::transcode {
namespace {

const RouteTable& Routes() {
  static const RouteTable* const routes = [] {
    const google::protobuf::ServiceDescriptor* const services[] = {
        fuzz::Sample::descriptor()->file()->service(0)};
    auto table = RouteTable::Build(services);
    FUZZ_CHECK(table.ok());
    return new RouteTable(*std::move(table));
  }();
  return *routes;
}

void CheckTemplate(std::string_view text) {
  const auto parsed = ParsePathTemplate(text);
  if (!parsed.ok()) return;
  FUZZ_CHECK(!text.empty() && text.front() == '/');
  for (const TemplateVariable& variable : parsed->variables) {
    FUZZ_CHECK(!variable.name.empty());
    FUZZ_CHECK(variable.begin < variable.end && variable.end <= parsed->segments.size());
  }
  for (std::size_t i = 0; i + 1 < parsed->segments.size(); ++i) {
    FUZZ_CHECK(parsed->segments[i].kind != TemplateSegment::Kind::kMulti);
  }
}

void CheckRequest(std::string_view method, std::string_view target, std::string_view body) {
  std::string_view query = target;
  const std::string_view path = TakeUntil(query, '?');
  const MatchResult match = Routes().Match(method, path);
  if (match.route == nullptr) return;
  FUZZ_CHECK(match.bindings.size() == match.route->variables.size());
  for (const std::string_view binding : match.bindings) {
    if (binding.empty()) continue;
    FUZZ_CHECK(binding.data() >= path.data() &&
               binding.data() + binding.size() <= path.data() + path.size());
  }
  const auto request =
      BuildRequest(*match.route, match.bindings, query, {"application/json", body});
  if (!request.ok()) return;
  FUZZ_CHECK((*request)->GetDescriptor() == fuzz::Sample::descriptor());
  FUZZ_CHECK((*request)->SerializeAsString().size() == (*request)->ByteSizeLong());
}

}  // namespace
}  // namespace penstock::transcode

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace penstock;
  std::string_view text = FuzzText(data, size);
  transcode::CheckTemplate(TakeUntil(text, '\n'));
  const std::string_view method = TakeUntil(text, ' ');
  const std::string_view target = TakeUntil(text, ' ');
  transcode::CheckRequest(method, target, text);
  return 0;
}
