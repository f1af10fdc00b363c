#include "libs/config/table.h"

#include <cstdlib>
#include <utility>

#include "fmt/format.h"

namespace penstock::config::internal {

void Die(std::string_view name, std::string_view what) {
  fmt::print(stderr, "config: {}: {}\n", name, what);
  std::abort();
}

namespace {

// Puts `value` under the nested sections that `name` spells.
void AddNested(Value* map, std::string_view name, Value value, std::string comment) {
  const std::size_t dot = name.find('.');
  if (dot == std::string_view::npos) {
    map->Add(std::string(name), std::move(value));
    map->entries.back().comment = std::move(comment);
    return;
  }
  const std::string_view section = name.substr(0, dot);
  Value* child = nullptr;
  for (Value::Entry& entry : map->entries) {
    if (entry.key == section) child = &entry.value;
  }
  if (child == nullptr) {
    map->Add(std::string(section), Value::Map());
    child = &map->entries.back().value;
  }
  AddNested(child, name.substr(dot + 1), std::move(value), std::move(comment));
}

}  // namespace

Key& Table::Add(std::string name, std::string_view help) {
  if (Find(name) != nullptr) Die(name, "is bound twice");
  if (IsSection(name)) Die(name, "is a section of other keys");
  const std::string variable = EnvironmentSuffix(name);
  for (const auto& key : keys) {
    if (name.starts_with(key->name + ".")) Die(name, "lies under the key " + key->name);
    if (EnvironmentSuffix(key->name) == variable) {
      Die(name, "has the environment variable of " + key->name);
    }
  }
  auto key = std::make_unique<Key>();
  key->name = name;
  key->help = std::string(help);
  Key& result = *key;
  by_name.emplace(std::move(name), key.get());
  keys.push_back(std::move(key));
  return result;
}

Key* Table::Find(std::string_view name) const {
  const auto found = by_name.find(name);
  return found == by_name.end() ? nullptr : found->second;
}

bool Table::IsSection(std::string_view name) const {
  const std::string prefix = std::string(name) + ".";
  const auto next = by_name.lower_bound(prefix);
  return next != by_name.end() && next->first.starts_with(prefix);
}

std::vector<std::string> Table::Names() const {
  std::vector<std::string> names;
  for (const auto& key : keys) names.push_back(key->name);
  return names;
}

void Table::Check(const std::string& prefix, Problems& problems) const {
  for (const auto& key : keys) {
    if (key->check) key->check(prefix + key->name, problems);
  }
}

Value Table::Write(bool comments) const {
  Value map = Value::Map();
  for (const auto& key : keys) {
    std::string comment;
    if (comments) comment = key->place.source.empty() ? "default" : key->place.ToString();
    AddNested(&map, key->name, key->write(), std::move(comment));
  }
  return map;
}

std::string EnvironmentSuffix(std::string_view name) {
  std::string suffix;
  for (const char c : name) {
    if (c >= 'a' && c <= 'z') {
      suffix += static_cast<char>(c - 'a' + 'A');
    } else if ((c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9')) {
      suffix += c;
    } else {
      suffix += '_';
    }
  }
  return suffix;
}

void SetScalar(Key& key, std::string type, std::function<absl::Status(const std::string&)> parse,
               std::function<absl::Status()> check, std::function<std::string()> format) {
  key.type = std::move(type);
  key.read = [type = key.type, parse = std::move(parse)](
                 const Value& value, const std::string& name, Problems& problems) {
    if (value.is_null()) {
      problems.Add(value.place, name, fmt::format("has no value; expected {}", type));
    } else if (!value.is_scalar()) {
      problems.Add(value.place, name, fmt::format("expected {}, not {}", type, KindName(value)));
    } else if (const absl::Status status = parse(value.text); !status.ok()) {
      problems.Add(value.place, name, std::string(status.message()));
    }
  };
  if (check) {
    key.check = [check = std::move(check), &key](const std::string& name, Problems& problems) {
      if (const absl::Status status = check(); !status.ok()) {
        problems.Add(key.place, name, std::string(status.message()));
      }
    };
  }
  key.write = [format = std::move(format)] { return Value::Scalar(format()); };
}

}  // namespace penstock::config::internal
