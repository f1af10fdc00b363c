#include "libs/config/sources.h"

#include <utility>

#include "fmt/format.h"
#include "libs/config/suggest.h"
#include "libs/config/yaml.h"

namespace penstock::config::internal {
namespace {

std::string_view Trim(std::string_view text) {
  while (text.starts_with(' ')) text.remove_prefix(1);
  while (text.ends_with(' ')) text.remove_suffix(1);
  return text;
}

std::vector<std::string_view> SplitAtCommas(std::string_view text) {
  std::vector<std::string_view> parts;
  while (!Trim(text).empty()) {
    const std::size_t comma = text.find(',');
    parts.push_back(Trim(text.substr(0, comma)));
    text.remove_prefix(comma == std::string_view::npos ? text.size() : comma + 1);
  }
  return parts;
}

// Adds to `value` what one text says, for the shapes that take several.
void AddText(const Key& key, const std::string& text, const Place& place, Value* value,
             Problems& problems) {
  const bool is_yaml = Trim(text).starts_with(key.shape == Shape::kList ? '[' : '{');
  if (is_yaml) {
    Value parsed = ParseYaml(text, place.source, problems);
    for (Value& item : parsed.items) value->items.push_back(std::move(item));
    for (Value::Entry& entry : parsed.entries) value->entries.push_back(std::move(entry));
    return;
  }
  for (const std::string_view part : SplitAtCommas(text)) {
    if (key.shape == Shape::kList) {
      value->items.push_back(Value::Scalar(std::string(part), true));
      value->items.back().place = place;
      continue;
    }
    const std::size_t equals = part.find('=');
    if (equals == std::string_view::npos || equals == 0) {
      problems.Add(place, key.name, fmt::format("expected name=value, not \"{}\"", part));
      continue;
    }
    value->Add(std::string(part.substr(0, equals)),
               Value::Scalar(std::string(part.substr(equals + 1)), true));
    value->entries.back().value.place = place;
  }
}

// Reads the texts that one source gave for a key. `texts` is not empty.
void ReadTexts(Key& key, const std::vector<std::string>& texts, const Place& place,
               Problems& problems) {
  Value value;
  const std::size_t problems_before = problems.size();
  if (key.shape == Shape::kList || key.shape == Shape::kMap) {
    value = key.shape == Shape::kList ? Value::List() : Value::Map();
    for (const std::string& text : texts) AddText(key, text, place, &value, problems);
  } else if (texts.size() > 1) {
    problems.Add(place, key.name, "is given more than once");
  } else if (key.shape == Shape::kYaml) {
    value = ParseYaml(texts[0], place.source, problems);
  } else {
    value = Value::Scalar(texts[0], true);
  }
  if (problems.size() > problems_before) return;
  value.place = place;
  key.place = place;
  key.read(value, key.name, problems);
}

// Walks the arguments. A flag's value follows after '=' or as the next argument.
class Parser {
 public:
  Parser(const std::vector<std::string>& arguments, const Table& table, Problems& problems)
      : arguments_(arguments), table_(table), problems_(problems) {}

  CommandLine Parse() {
    while (next_ < arguments_.size()) ParseArgument(arguments_[next_++]);
    return std::move(line_);
  }

 private:
  void ParseArgument(const std::string& argument) {
    if (argument == "-h") {
      line_.help = true;
      return;
    }
    if (!argument.starts_with("--") || argument.size() == 2) {
      problems_.Add({}, "", fmt::format("unexpected argument \"{}\"", argument));
      return;
    }
    const std::size_t equals = argument.find('=');
    const std::string name = argument.substr(2, equals == std::string::npos ? equals : equals - 2);
    std::optional<std::string> value;
    if (equals != std::string::npos) value = argument.substr(equals + 1);
    if (ParseSwitch(name, value)) return;
    if (name == "config") {
      if (std::optional<std::string> file = TakeValue(name, std::move(value))) {
        if (file->empty()) problems_.Add({}, "", "--config needs the name of a file");
        line_.config_file = *std::move(file);
      }
      return;
    }
    Key* const key = table_.Find(name);
    if (key == nullptr) {
      AddUnknown(name);
      return;
    }
    if (key->shape == Shape::kBool && !value.has_value()) {
      const bool has_word = next_ < arguments_.size() &&
                            (arguments_[next_] == "true" || arguments_[next_] == "false");
      value = has_word ? arguments_[next_++] : "true";
    }
    if (value = TakeValue(name, std::move(value)); value.has_value()) {
      line_.values[key].push_back(*std::move(value));
    }
  }

  // True when `name` is one of the flags that take no value.
  bool ParseSwitch(const std::string& name, const std::optional<std::string>& value) {
    const std::map<std::string, bool*> switches = {{"help", &line_.help},
                                                   {"version", &line_.version},
                                                   {"check-config", &line_.check_config},
                                                   {"print-config", &line_.print_config}};
    const auto found = switches.find(name);
    if (found == switches.end()) return false;
    if (value.has_value()) problems_.Add({}, "", fmt::format("--{} takes no value", name));
    *found->second = true;
    return true;
  }

  std::optional<std::string> TakeValue(const std::string& name, std::optional<std::string> value) {
    if (value.has_value()) return value;
    // What looks like a flag is one: a value that begins with "--" is written after "=".
    if (next_ < arguments_.size() && !arguments_[next_].starts_with("--")) {
      return arguments_[next_++];
    }
    problems_.Add({"--" + name, 0, 0}, "", "needs a value");
    return std::nullopt;
  }

  void AddUnknown(const std::string& name) {
    std::vector<std::string> names = table_.Names();
    for (const char* other : {"help", "version", "check-config", "print-config", "config"}) {
      names.emplace_back(other);
    }
    std::string message = "unknown flag";
    const std::string near = Suggest(name, names);
    if (!near.empty()) message += fmt::format(" (did you mean --{}?)", near);
    problems_.Add({"--" + name, 0, 0}, "", message);
    // Its value would only be a second problem.
    if (next_ < arguments_.size() && !arguments_[next_].starts_with("-")) ++next_;
  }

  const std::vector<std::string>& arguments_;
  const Table& table_;
  Problems& problems_;
  std::size_t next_ = 0;
  CommandLine line_;
};

}  // namespace

CommandLine ParseCommandLine(const std::vector<std::string>& arguments, const Table& table,
                             Problems& problems) {
  return Parser(arguments, table, problems).Parse();
}

void ApplyCommandLine(const CommandLine& line, Problems& problems) {
  for (const auto& [key, texts] : line.values) {
    ReadTexts(*key, texts, {"--" + key->name, 0, 0}, problems);
  }
}

std::string EnvironmentName(const std::string& service, const std::string& key) {
  std::string name = "PENSTOCK_";
  if (!service.empty()) name += EnvironmentSuffix(service) + "_";
  return name + EnvironmentSuffix(key);
}

void ApplyEnvironment(const Environment& environment, const std::string& service,
                      const Table& table, Problems& problems) {
  for (const auto& key : table.keys) {
    std::string name = EnvironmentName(service, key->name);
    std::optional<std::string> value = environment(name);
    if (!value.has_value() || value->empty()) {
      name = EnvironmentName("", key->name);
      value = environment(name);
    }
    if (!value.has_value() || value->empty()) continue;
    ReadTexts(*key, {*value}, {"environment variable " + name, 0, 0}, problems);
  }
}

}  // namespace penstock::config::internal
