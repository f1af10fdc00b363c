// Binds configuration keys to the fields of plain structs.
//
//   void Bind(config::Binder& binder, GatewayConfig* c) {
//     binder.Listen("http.listen", &c->http_listen, "address of the front door");
//     binder.Int("http.connections_max", &c->connections_max, "open connections", {1, 100'000});
//     binder.Structs("routes", &c->routes, "extra routes", [](config::Binder& b, Route* r) {
//       b.String("path", &r->path, "path pattern");
//     });
//   }
//
// What the fields hold when they are bound are the defaults. Every binding method is called while
// the program starts, on one thread; the fields must outlive the binder.
#pragma once

#include <chrono>
#include <concepts>
#include <cstdint>
#include <functional>
#include <limits>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "libs/base/time.h"
#include "libs/config/listen_address.h"
#include "libs/config/problems.h"
#include "libs/config/value.h"
#include "libs/log/secret.h"

namespace penstock::config {

// Both inclusive.
template <typename T>
struct Bounds {
  T min = std::numeric_limits<T>::lowest();
  T max = std::numeric_limits<T>::max();
};

// The bounds of a duration that may be anything from zero up.
inline constexpr Bounds<Microseconds> kAnyDuration{Microseconds(0), Microseconds::max()};

namespace internal {
struct Table;
struct Key;
}  // namespace internal

class Binder {
 public:
  Binder();

  // The same keys under a prefix: Under("broker").String("x", …) binds "broker.x". Both share their
  // keys, and either outlives the other.
  Binder Under(std::string_view prefix) const;

  // Any scalar, as written.
  void String(std::string_view key, std::string* target, std::string_view help);
  // As String; shown as "*****".
  void Secret(std::string_view key, log::Secret* target, std::string_view help);

  // An integer of any width but bool, within the bounds of its type and `bounds`.
  template <std::integral T>
  void Int(std::string_view key, T* target, std::string_view help,
           Bounds<std::type_identity_t<T>> bounds = {}) {
    AddInt(
        key, help, ToBound(bounds.min), ToBound(bounds.max),
        [target](std::int64_t value) { *target = static_cast<T>(value); },
        [target] { return ToBound(*target); });
  }
  // A number.
  void Double(std::string_view key, double* target, std::string_view help,
              Bounds<double> bounds = {});
  // true or false.
  void Bool(std::string_view key, bool* target, std::string_view help);

  // "1.5s", "200ms", "14d"; it must be a whole number of the target's unit.
  template <typename Rep, typename Period>
  void Duration(std::string_view key, std::chrono::duration<Rep, Period>* target,
                std::string_view help, Bounds<Microseconds> bounds = kAnyDuration) {
    using Target = std::chrono::duration<Rep, Period>;
    AddDuration(
        key, help, bounds, std::chrono::ceil<Microseconds>(Target(1)),
        [target](Microseconds value) { *target = std::chrono::duration_cast<Target>(value); },
        [target] { return std::chrono::duration_cast<Microseconds>(*target); });
  }
  // A size: "64MiB", "10kB", "512" (bytes).
  template <std::integral T>
  void Bytes(std::string_view key, T* target, std::string_view help,
             Bounds<std::type_identity_t<T>> bounds = {0, std::numeric_limits<T>::max()}) {
    AddBytes(
        key, help, ToBound(bounds.min), ToBound(bounds.max),
        [target](std::int64_t value) { *target = static_cast<T>(value); },
        [target] { return ToBound(*target); });
  }
  // Where to listen: "127.0.0.1:8080".
  void Listen(std::string_view key, ListenAddress* target, std::string_view help);

  // One of a few words.
  template <typename T>
  void Enum(std::string_view key, T* target, std::vector<std::pair<std::string, T>> words,
            std::string_view help) {
    std::vector<std::string> names;
    for (const auto& [name, value] : words) names.push_back(name);
    auto shared = std::make_shared<decltype(words)>(std::move(words));
    AddEnum(
        key, help, std::move(names),
        [target, shared](std::size_t index) { *target = (*shared)[index].second; },
        [target, shared]() -> std::size_t {
          for (std::size_t i = 0; i < shared->size(); ++i) {
            if ((*shared)[i].second == *target) return i;
          }
          return shared->size();
        });
  }

  // A list of scalars. In the environment and in flags: "a,b" or YAML ("[a, b]"); a flag may
  // repeat.
  void StringList(std::string_view key, std::vector<std::string>* target, std::string_view help);
  // Names to scalars. In the environment and in flags: "a=1,b=2" or YAML; a flag may repeat.
  void StringMap(std::string_view key, std::map<std::string, std::string>* target,
                 std::string_view help);

  // A list of structs whose fields `bind` binds. In the environment and in flags: YAML.
  template <typename T>
  void Structs(std::string_view key, std::vector<T>* target, std::string_view help,
               std::function<void(Binder&, T*)> bind) {
    auto shared = std::make_shared<decltype(bind)>(std::move(bind));
    AddStructs(
        key, help, [target](std::size_t size) { *target = std::vector<T>(size); },
        [target] { return target->size(); },
        [target, shared](std::size_t index, Binder& binder) {
          (*shared)(binder, &(*target)[index]);
        },
        [shared, sample = std::make_shared<T>()](Binder& binder) {
          (*shared)(binder, sample.get());
        });
  }

  // A subtree that the caller reads itself. `read` adds what is wrong to `problems`, with keys that
  // begin with `key` as given to it; `write` gives the present value for --print-config.
  using RawRead =
      std::function<void(const Value& value, const std::string& key, Problems& problems)>;
  using RawWrite = std::function<Value()>;
  void Raw(std::string_view key, std::string_view help, RawRead read, RawWrite write);

  // Says that `key`, or all keys bound so far below it, are taken over by a running program that
  // reads its configuration again. For --help, and for whoever reads again (changes.h).
  void Reloadable(std::string_view key);
  // Takes that back, for one key or section of many that are.
  void Fixed(std::string_view key);

  // Reads a map into the bound fields. Unknown keys, wrong types, duplicates and values out of
  // bounds go to `problems`; a field that has a problem keeps its value. `key_prefix` begins the
  // keys in messages.
  void ReadMap(const Value& map, const std::string& key_prefix, Problems& problems);

  // Checks the present values of all fields against their bounds, for programs that set fields
  // directly: INVALID_ARGUMENT naming each key.
  absl::Status CheckValues() const;

  // The present values, as a map by nested keys; secrets masked.
  Value WriteMap() const;

  // For Load.
  internal::Table& table() const { return *table_; }

 private:
  using SetInt = std::function<void(std::int64_t)>;
  using GetInt = std::function<std::int64_t()>;

  Binder(std::shared_ptr<internal::Table> table, std::string prefix);

  // Values beyond what 64 signed bits hold count as the greatest such value.
  template <std::integral T>
  static std::int64_t ToBound(T value) {
    constexpr std::int64_t kMax = std::numeric_limits<std::int64_t>::max();
    return std::cmp_greater(value, kMax) ? kMax : static_cast<std::int64_t>(value);
  }

  void SetReloadable(std::string_view key, bool reloadable);
  internal::Key& Add(std::string_view key, std::string_view help);
  void AddInt(std::string_view key, std::string_view help, std::int64_t min, std::int64_t max,
              SetInt set, GetInt get);
  void AddBytes(std::string_view key, std::string_view help, std::int64_t min, std::int64_t max,
                SetInt set, GetInt get);
  void AddDuration(std::string_view key, std::string_view help, Bounds<Microseconds> bounds,
                   Microseconds unit, std::function<void(Microseconds)> set,
                   std::function<Microseconds()> get);
  void AddEnum(std::string_view key, std::string_view help, std::vector<std::string> names,
               std::function<void(std::size_t)> set, std::function<std::size_t()> get);
  void AddStructs(std::string_view key, std::string_view help,
                  std::function<void(std::size_t)> resize, std::function<std::size_t()> size,
                  std::function<void(std::size_t, Binder&)> bind,
                  std::function<void(Binder&)> describe);

  std::shared_ptr<internal::Table> table_;
  std::string prefix_;
};

// Parses "64MiB", "10kB", "512": a number, then B, kB, MB, GB, TB (thousands) or KiB, MiB, GiB,
// TiB.
absl::StatusOr<std::int64_t> ParseBytes(std::string_view text);
// The shortest exact form that ParseBytes accepts.
std::string FormatBytes(std::int64_t bytes);

}  // namespace penstock::config
