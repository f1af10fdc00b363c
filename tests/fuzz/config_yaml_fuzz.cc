// YAML of settings: what is read without a problem is the same after being written and read.
#include "libs/config/value.h"
#include "libs/config/yaml.h"
#include "tests/fuzz/check.h"

namespace penstock::config {
namespace {

bool AreSame(const Value& a, const Value& b) {
  if (a.kind != b.kind || a.text != b.text || a.items.size() != b.items.size() ||
      a.entries.size() != b.entries.size()) {
    return false;
  }
  for (std::size_t i = 0; i < a.items.size(); ++i) {
    if (!AreSame(a.items[i], b.items[i])) return false;
  }
  for (std::size_t i = 0; i < a.entries.size(); ++i) {
    if (a.entries[i].key != b.entries[i].key) return false;
    if (!AreSame(a.entries[i].value, b.entries[i].value)) return false;
  }
  return true;
}

}  // namespace
}  // namespace penstock::config

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace penstock::config;
  Problems problems;
  const Value value = ParseYaml(penstock::FuzzText(data, size), "fuzz.yaml", problems);
  if (!problems.empty()) {
    FUZZ_CHECK(!problems.ToStatus().ok());
    return 0;
  }
  const std::string text = ToYaml(value);
  Problems none;
  const Value again = ParseYaml(text, "again.yaml", none);
  FUZZ_CHECK(none.empty());
  FUZZ_CHECK(AreSame(value, again));
  return 0;
}
