#include "libs/config/binder.h"

#include <charconv>
#include <cmath>
#include <set>

#include "fmt/format.h"
#include "libs/base/status.h"
#include "libs/config/suggest.h"
#include "libs/config/table.h"

namespace penstock::config {
namespace {

using internal::Key;
using internal::SetScalar;
using internal::Shape;

constexpr std::int64_t kIntMin = std::numeric_limits<std::int32_t>::min();
constexpr std::int64_t kIntMax = std::numeric_limits<std::int32_t>::max();
// What any duration type of the standard library can hold in nanoseconds.
constexpr Microseconds kDurationMax = std::chrono::hours(24 * 36'500);

absl::Status Expected(std::string_view what, std::string_view text) {
  return absl::InvalidArgumentError(fmt::format("expected {}, not \"{}\"", what, text));
}

template <typename T>
bool ParseNumber(const std::string& text, T* number) {
  const char* const text_end = text.data() + text.size();
  const auto [end, error] = std::from_chars(text.data(), text_end, *number);
  return error == std::errc() && end == text_end;
}

// "integer from 1 to 10"; bounds that are only the type's own are left out.
std::string IntType(std::int64_t min, std::int64_t max) {
  std::string type = "an integer";
  if (min > kIntMin) type += fmt::format(" from {}", min);
  if (max < kIntMax) type += fmt::format(" {}to {}", min > kIntMin ? "" : "up ", max);
  return type;
}

// Reads the entries of one map, and of the sections in it, into the fields of a table.
class MapReader {
 public:
  MapReader(const internal::Table& table, const std::string& key_prefix, Problems& problems)
      : table_(table), key_prefix_(key_prefix), problems_(problems) {}

  void Read(const Value& map, const std::string& section) {
    for (const Value::Entry& entry : map.entries) {
      const std::string name = section.empty() ? entry.key : section + "." + entry.key;
      if (Key* const key = table_.Find(name); key != nullptr) {
        ReadKey(*key, entry);
      } else if (table_.IsSection(name)) {
        ReadSection(name, entry);
      } else {
        AddUnknown(name, entry);
      }
    }
  }

 private:
  void ReadKey(Key& key, const Value::Entry& entry) {
    // The map itself has no duplicates, but "a.b:" and "b:" under "a:" are the same key.
    if (!seen_.insert(key.name).second) {
      problems_.Add(entry.key_place, key_prefix_ + key.name, "is here twice");
      return;
    }
    key.place = entry.value.place;
    key.read(entry.value, key_prefix_ + key.name, problems_);
  }

  void ReadSection(const std::string& name, const Value::Entry& entry) {
    if (entry.value.is_map()) {
      Read(entry.value, name);
    } else if (!entry.value.is_null()) {
      problems_.Add(entry.value.place, key_prefix_ + name,
                    fmt::format("expected a map of keys, not {}", KindName(entry.value)));
    }
  }

  void AddUnknown(const std::string& name, const Value::Entry& entry) {
    std::string message = "unknown key";
    const std::string near = Suggest(name, table_.Names());
    if (!near.empty()) message += fmt::format(" (did you mean \"{}\"?)", near);
    problems_.Add(entry.key_place, key_prefix_ + name, message);
  }

  const internal::Table& table_;
  const std::string& key_prefix_;
  Problems& problems_;
  std::set<std::string> seen_;
};

}  // namespace

Binder::Binder() : table_(std::make_shared<internal::Table>()) {}
Binder::Binder(std::shared_ptr<internal::Table> table, std::string prefix)
    : table_(std::move(table)), prefix_(std::move(prefix)) {}

Binder Binder::Under(std::string_view prefix) const {
  return Binder(table_, prefix_ + std::string(prefix) + ".");
}

void Binder::Reloadable(std::string_view key) { SetReloadable(key, true); }
void Binder::Fixed(std::string_view key) { SetReloadable(key, false); }

void Binder::SetReloadable(std::string_view key, bool reloadable) {
  const std::string name = prefix_ + std::string(key);
  bool is_bound = false;
  for (const auto& bound : table_->keys) {
    if (bound->name != name && !bound->name.starts_with(name + ".")) continue;
    bound->reloadable = reloadable;
    is_bound = true;
  }
  if (!is_bound) internal::Die(name, "is not bound");
}

Key& Binder::Add(std::string_view key, std::string_view help) {
  return table_->Add(prefix_ + std::string(key), help);
}

void Binder::String(std::string_view key, std::string* target, std::string_view help) {
  SetScalar(
      Add(key, help), "a string",
      [target](const std::string& text) {
        *target = text;
        return absl::OkStatus();
      },
      {}, [target] { return *target; });
}

void Binder::Secret(std::string_view key, log::Secret* target, std::string_view help) {
  Key& added = Add(key, help);
  added.secret = true;
  SetScalar(
      added, "a secret string",
      [target](const std::string& text) {
        *target = log::Secret(text);
        return absl::OkStatus();
      },
      {}, [target] { return std::string(target->empty() ? "" : "*****"); });
}

void Binder::AddInt(std::string_view key, std::string_view help, std::int64_t min, std::int64_t max,
                    SetInt set, GetInt get) {
  const std::string expected = fmt::format("an integer from {} to {}", min, max);
  SetScalar(
      Add(key, help), IntType(min, max),
      [=](const std::string& text) {
        std::int64_t value = 0;
        if (!ParseNumber(text, &value) || value < min || value > max) {
          return Expected(expected, text);
        }
        set(value);
        return absl::OkStatus();
      },
      [=] {
        const std::int64_t value = get();
        return value < min || value > max ? Expected(expected, std::to_string(value))
                                          : absl::OkStatus();
      },
      [=] { return std::to_string(get()); });
}

void Binder::Double(std::string_view key, double* target, std::string_view help,
                    Bounds<double> bounds) {
  const auto is_within = [bounds](double value) {
    return std::isfinite(value) && value >= bounds.min && value <= bounds.max;
  };
  std::string type = "a number";
  if (bounds.min != Bounds<double>().min || bounds.max != Bounds<double>().max) {
    type += fmt::format(" from {} to {}", bounds.min, bounds.max);
  }
  SetScalar(
      Add(key, help), type,
      [=](const std::string& text) {
        double value = 0;
        if (!ParseNumber(text, &value) || !is_within(value)) return Expected(type, text);
        *target = value;
        return absl::OkStatus();
      },
      [=] {
        return is_within(*target) ? absl::OkStatus() : Expected(type, fmt::to_string(*target));
      },
      [target] { return fmt::format("{}", *target); });
}

void Binder::Bool(std::string_view key, bool* target, std::string_view help) {
  Key& added = Add(key, help);
  added.shape = Shape::kBool;
  SetScalar(
      added, "true or false",
      [target](const std::string& text) {
        if (text != "true" && text != "false") return Expected("true or false", text);
        *target = text == "true";
        return absl::OkStatus();
      },
      {}, [target] { return std::string(*target ? "true" : "false"); });
}

void Binder::AddDuration(std::string_view key, std::string_view help, Bounds<Microseconds> bounds,
                         Microseconds unit, std::function<void(Microseconds)> set,
                         std::function<Microseconds()> get) {
  bounds.max = std::min(bounds.max, kDurationMax);
  std::string type = "a duration such as \"1.5s\"";
  if (bounds.min > Microseconds(0)) type += " from " + FormatDuration(bounds.min);
  if (bounds.max < kDurationMax) type += " up to " + FormatDuration(bounds.max);
  const auto is_within = [bounds](Microseconds value) {
    return value >= bounds.min && value <= bounds.max;
  };
  SetScalar(
      Add(key, help), type,
      [=](const std::string& text) {
        absl::StatusOr<Microseconds> value = ParseDuration(text);
        if (text == "0") value = Microseconds(0);
        if (!value.ok() || !is_within(*value)) return Expected(type, text);
        if (value->count() % unit.count() != 0) {
          return Expected("a whole multiple of " + FormatDuration(unit), text);
        }
        set(*value);
        return absl::OkStatus();
      },
      [=] {
        return is_within(get()) ? absl::OkStatus()
                                : Expected(type, fmt::format("{}us", get().count()));
      },
      [=] { return FormatDuration(get()); });
}

void Binder::AddBytes(std::string_view key, std::string_view help, std::int64_t min,
                      std::int64_t max, SetInt set, GetInt get) {
  std::string type = "a size such as \"64MiB\"";
  if (min > 0) type += " from " + FormatBytes(min);
  if (max < kIntMax || (max < std::numeric_limits<std::int64_t>::max() && max % 1024 == 0)) {
    type += " up to " + FormatBytes(max);
  }
  SetScalar(
      Add(key, help), type,
      [=](const std::string& text) {
        const absl::StatusOr<std::int64_t> value = ParseBytes(text);
        if (!value.ok() || *value < min || *value > max) return Expected(type, text);
        set(*value);
        return absl::OkStatus();
      },
      [=] {
        const std::int64_t value = get();
        return value < min || value > max ? Expected(type, std::to_string(value))
                                          : absl::OkStatus();
      },
      [=] { return FormatBytes(get()); });
}

void Binder::Listen(std::string_view key, ListenAddress* target, std::string_view help) {
  SetScalar(
      Add(key, help), "an address and port",
      [target](const std::string& text) {
        ASSIGN_OR_RETURN(*target, ParseListenAddress(text));
        return absl::OkStatus();
      },
      [target] { return ParseListenAddress(target->ToString()).status(); },
      [target] { return target->ToString(); });
}

void Binder::AddEnum(std::string_view key, std::string_view help, std::vector<std::string> names,
                     std::function<void(std::size_t)> set, std::function<std::size_t()> get) {
  std::string type = fmt::format("one of {}", fmt::join(names, ", "));
  SetScalar(
      Add(key, help), type,
      [=](const std::string& text) {
        for (std::size_t i = 0; i < names.size(); ++i) {
          if (names[i] != text) continue;
          set(i);
          return absl::OkStatus();
        }
        return Expected(type, text);
      },
      [=] { return get() < names.size() ? absl::OkStatus() : Expected(type, "another value"); },
      [=] { return get() < names.size() ? names[get()] : std::string(); });
}

void Binder::ReadMap(const Value& map, const std::string& key_prefix, Problems& problems) {
  if (map.is_null()) return;
  if (!map.is_map()) {
    std::string key = key_prefix;
    if (key.ends_with('.')) key.pop_back();
    problems.Add(map.place, key, fmt::format("expected a map of keys, not {}", KindName(map)));
    return;
  }
  MapReader(*table_, key_prefix, problems).Read(map, "");
}

absl::Status Binder::CheckValues() const {
  Problems problems;
  table_->Check("", problems);
  return problems.ToStatus();
}

Value Binder::WriteMap() const { return table_->Write(false); }

}  // namespace penstock::config
