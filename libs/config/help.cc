#include "libs/config/help.h"

#include "fmt/format.h"
#include "libs/config/sources.h"

namespace penstock::config::internal {
namespace {

// The default as one short word or line, or empty.
std::string DefaultText(const Key& key) {
  const Value value = key.write();
  if (value.is_scalar()) return value.text;
  if (value.is_list() && value.items.empty()) return "";
  std::string text;
  for (const Value& item : value.items) {
    if (!item.is_scalar()) return fmt::format("{} items", value.items.size());
    text += (text.empty() ? "" : ",") + item.text;
  }
  for (const Value::Entry& entry : value.entries) {
    text += fmt::format("{}{}={}", text.empty() ? "" : ",", entry.key, entry.value.text);
  }
  return text;
}

void AppendKeys(const Table& table, const std::string& prefix, std::string* out) {
  for (const auto& key : table.keys) {
    const std::string name = prefix + key->name;
    *out += fmt::format("  {}: {}", name, key->type);
    const std::string text = DefaultText(*key);
    if (!text.empty()) *out += fmt::format(" (default {})", text);
    *out +=
        fmt::format("\n      {}{}\n", key->help, key->reloadable ? " (read again at SIGHUP)" : "");
    if (key->describe) {
      Binder item;
      key->describe(item);
      AppendKeys(item.table(), name + "[].", out);
    }
  }
}

}  // namespace

std::string HelpText(const Program& program, const Table& table) {
  std::string out = fmt::format("{}: {}\n\n", program.name, program.summary);
  out += fmt::format("Usage: {} [--config FILE] [--KEY=VALUE ...]\n\n", program.name);
  out +=
      "  --config FILE    read this YAML file (or the one in PENSTOCK_CONFIG)\n"
      "  --check-config   print every problem of the configuration and leave: 0 or 2\n"
      "  --print-config   print the configuration in force as YAML, secrets masked, and leave\n"
      "  --version        print the version and leave\n"
      "  --help           print this text and leave\n\n";
  out += fmt::format(
      "Keys. In the file, a.b is b under a. A flag (--a.b=1) wins over the environment ({}, then\n"
      "{}), which wins over the file.\n\n",
      EnvironmentName(program.service, "a.b"), EnvironmentName("", "a.b"));
  AppendKeys(table, "", &out);
  return out;
}

}  // namespace penstock::config::internal
