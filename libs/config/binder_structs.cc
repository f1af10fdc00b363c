// The bindings of lists, maps and subtrees.
#include <utility>

#include "fmt/format.h"
#include "libs/config/binder.h"
#include "libs/config/table.h"

namespace penstock::config {
namespace {

using internal::Key;
using internal::Shape;

// False, with a problem, when `value` is not a scalar.
bool CheckScalar(const Value& value, const std::string& name, Problems& problems) {
  if (value.is_scalar()) return true;
  problems.Add(value.place, name, fmt::format("expected a string, not {}", KindName(value)));
  return false;
}

}  // namespace

void Binder::StringList(std::string_view key, std::vector<std::string>* target,
                        std::string_view help) {
  Key& added = Add(key, help);
  added.shape = Shape::kList;
  added.type = "a list of strings";
  added.read = [target](const Value& value, const std::string& name, Problems& problems) {
    if (!value.is_list() && !value.is_null()) {
      problems.Add(value.place, name,
                   fmt::format("expected a list of strings, not {}", KindName(value)));
      return;
    }
    std::vector<std::string> read;
    for (std::size_t i = 0; i < value.items.size(); ++i) {
      if (!CheckScalar(value.items[i], fmt::format("{}[{}]", name, i), problems)) return;
      read.push_back(value.items[i].text);
    }
    *target = std::move(read);
  };
  added.write = [target] {
    Value list = Value::List();
    for (const std::string& text : *target) list.items.push_back(Value::Scalar(text));
    return list;
  };
}

void Binder::StringMap(std::string_view key, std::map<std::string, std::string>* target,
                       std::string_view help) {
  Key& added = Add(key, help);
  added.shape = Shape::kMap;
  added.type = "a map of strings";
  added.read = [target](const Value& value, const std::string& name, Problems& problems) {
    if (!value.is_map() && !value.is_null()) {
      problems.Add(value.place, name,
                   fmt::format("expected a map of strings, not {}", KindName(value)));
      return;
    }
    std::map<std::string, std::string> read;
    for (const Value::Entry& entry : value.entries) {
      if (!CheckScalar(entry.value, name + "." + entry.key, problems)) return;
      read[entry.key] = entry.value.text;
    }
    *target = std::move(read);
  };
  added.write = [target] {
    Value map = Value::Map();
    for (const auto& [name, text] : *target) map.Add(name, Value::Scalar(text));
    return map;
  };
}

void Binder::AddStructs(std::string_view key, std::string_view help,
                        std::function<void(std::size_t)> resize, std::function<std::size_t()> size,
                        std::function<void(std::size_t, Binder&)> bind,
                        std::function<void(Binder&)> describe) {
  Key& added = Add(key, help);
  added.shape = Shape::kYaml;
  added.type = "a list of maps";
  added.describe = std::move(describe);
  added.read = [resize, bind](const Value& value, const std::string& name, Problems& problems) {
    if (!value.is_list() && !value.is_null()) {
      problems.Add(value.place, name,
                   fmt::format("expected a list of maps, not {}", KindName(value)));
      return;
    }
    resize(value.items.size());
    for (std::size_t i = 0; i < value.items.size(); ++i) {
      Binder item;
      bind(i, item);
      item.ReadMap(value.items[i], fmt::format("{}[{}].", name, i), problems);
    }
  };
  added.check = [size, bind](const std::string& name, Problems& problems) {
    for (std::size_t i = 0; i < size(); ++i) {
      Binder item;
      bind(i, item);
      item.table().Check(fmt::format("{}[{}].", name, i), problems);
    }
  };
  added.write = [size, bind] {
    Value list = Value::List();
    for (std::size_t i = 0; i < size(); ++i) {
      Binder item;
      bind(i, item);
      list.items.push_back(item.WriteMap());
    }
    return list;
  };
}

void Binder::Raw(std::string_view key, std::string_view help, RawRead read, RawWrite write) {
  Key& added = Add(key, help);
  added.shape = Shape::kYaml;
  added.type = "YAML";
  added.read = std::move(read);
  added.write = std::move(write);
}

}  // namespace penstock::config
