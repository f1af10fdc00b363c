// The keys that a Binder collected. For the .cc files of this folder.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "libs/config/binder.h"
#include "libs/config/problems.h"
#include "libs/config/value.h"

namespace penstock::config::internal {

// Ends the program, whose code binds the key wrongly.
[[noreturn]] void Die(std::string_view name, std::string_view what);

// How the text of a flag or of an environment variable becomes a value.
enum class Shape {
  kScalar,
  kBool,  // As kScalar; a flag without value means true.
  kList,  // "a,b" or YAML.
  kMap,   // "a=1,b=2" or YAML.
  kYaml,
};

struct Key {
  std::string name;
  std::string help;
  // For --help and messages: "integer from 1 to 10".
  std::string type;
  Shape shape = Shape::kScalar;
  bool secret = false;
  bool reloadable = false;
  // Reads a value into the field, or adds problems under `key` (the name as the file has it).
  std::function<void(const Value& value, const std::string& key, Problems& problems)> read;
  // Adds a problem when the field's present value is out of bounds. May be empty.
  std::function<void(const std::string& key, Problems& problems)> check;
  std::function<Value()> write;
  // Binds the keys of one item of a list of structs. May be empty.
  std::function<void(Binder&)> describe;
  // Where the present value came from; empty source: the default.
  Place place;
};

struct Table {
  // In the order of binding.
  std::vector<std::unique_ptr<Key>> keys;
  std::map<std::string, Key*, std::less<>> by_name;

  // Aborts when the name is taken, or a section of another, or gives the same environment variable.
  Key& Add(std::string name, std::string_view help);
  Key* Find(std::string_view name) const;
  // True when keys lie under `name`.
  bool IsSection(std::string_view name) const;
  std::vector<std::string> Names() const;
  // Checks the present values; `prefix` begins the keys in messages.
  void Check(const std::string& prefix, Problems& problems) const;
  // The present values by nested keys. `comments` says of each key where its value came from.
  Value Write(bool comments) const;
};

// "http.listen" to "HTTP_LISTEN".
std::string EnvironmentSuffix(std::string_view name);

// Binds a key whose values are scalars: `parse` sets the field or says what was expected; `check`
// may be empty.
void SetScalar(Key& key, std::string type, std::function<absl::Status(const std::string&)> parse,
               std::function<absl::Status()> check, std::function<std::string()> format);

}  // namespace penstock::config::internal
