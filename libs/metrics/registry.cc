#include <cstdlib>
#include <optional>
#include <sstream>
#include <utility>
#include <variant>

#include "fmt/format.h"
#include "libs/metrics/metrics.h"
#include "prometheus/metric_family.h"
#include "prometheus/text_serializer.h"

namespace penstock::metrics {
namespace {

using prometheus::ClientMetric;
using prometheus::MetricFamily;
using prometheus::MetricType;

[[noreturn]] void Die(std::string_view name, std::string_view what) {
  fmt::print(stderr, "metrics: {}: {}\n", name, what);
  std::abort();
}

bool IsName(std::string_view text, bool allow_colon) {
  if (text.empty() || (text[0] >= '0' && text[0] <= '9')) return false;
  for (const char c : text) {
    const bool fits = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                      c == '_' || (allow_colon && c == ':');
    if (!fits) return false;
  }
  return true;
}

struct Callback {
  std::uint64_t id;
  Labels labels;
  std::function<double()> read;
};
// Callbacks of one name.
using Callbacks = std::vector<Callback>;

struct Entry {
  MetricType type;
  std::string help;
  std::vector<std::string> label_names;
  std::variant<std::unique_ptr<Family<Counter>>, std::unique_ptr<Family<Gauge>>,
               std::unique_ptr<Family<Histogram>>, Callbacks>
      content;
};

void Fill(const Counter& metric, ClientMetric* out) {
  out->counter.value = static_cast<double>(metric.Value());
}
void Fill(const Gauge& metric, ClientMetric* out) { out->gauge.value = metric.Value(); }
void Fill(const Histogram& metric, ClientMetric* out) {
  std::uint64_t count = 0;
  for (std::size_t i = 0; i < metric.bounds().size(); ++i) {
    count += metric.CountIn(i);
    out->histogram.bucket.push_back({.cumulative_count = count, .upper_bound = metric.bounds()[i]});
  }
  count += metric.CountIn(metric.bounds().size());
  out->histogram.sample_count = count;
  out->histogram.sample_sum = metric.Sum();
}

}  // namespace

struct Registry::Impl {
  mutable std::mutex mutex;
  std::uint64_t last_id = 0;
  // By name: a scrape lists them in this order.
  std::map<std::string, Entry, std::less<>> entries;

  // The entry called `name`, new or found; aborts when it is another kind of thing. Requires
  // `mutex`.
  template <typename Content>
  Entry& Get(std::string_view name, std::string_view help, MetricType type,
             const std::vector<std::string>& label_names, Content make_content) {
    const auto found = entries.find(name);
    if (found != entries.end()) {
      Entry& entry = found->second;
      auto made = make_content();
      if (entry.type != type || !std::holds_alternative<decltype(made)>(entry.content)) {
        Die(name, "is registered with another type");
      }
      if (entry.help != help) Die(name, "is registered with another help text");
      if (entry.label_names != label_names) Die(name, "is registered with other labels");
      return entry;
    }
    if (!IsName(name, true)) Die(name, "is not a metric name");
    for (const std::string& label : label_names) {
      if (!IsName(label, false) || label == "le") Die(name, "has an ill-formed label name");
    }
    Entry entry{type, std::string(help), label_names, make_content()};
    return entries.emplace(std::string(name), std::move(entry)).first->second;
  }

  template <typename Metric>
  Family<Metric>& GetFamily(std::string_view name, std::string_view help, MetricType type,
                            std::vector<std::string> label_names,
                            std::function<std::unique_ptr<Family<Metric>>()> make) {
    const std::lock_guard lock(mutex);
    return *std::get<std::unique_ptr<Family<Metric>>>(
        Get(name, help, type, label_names, std::move(make)).content);
  }

  Registration AddCallback(std::string_view name, std::string_view help, MetricType type,
                           std::function<double()> read, Labels labels);
  void KeepCallback(std::string_view name, std::string_view help, MetricType type,
                    std::function<double()> read);
  void RemoveCallback(const std::string& name, std::uint64_t id);
};

Registration Registry::Impl::AddCallback(std::string_view name, std::string_view help,
                                         MetricType type, std::function<double()> read,
                                         Labels labels) {
  std::vector<std::string> label_names;
  for (const auto& [label, value] : labels) label_names.push_back(label);
  const std::lock_guard lock(mutex);
  auto& callbacks =
      std::get<Callbacks>(Get(name, help, type, label_names, [] { return Callbacks(); }).content);
  for (const Callback& other : callbacks) {
    if (other.labels == labels) Die(name, "has a callback with these labels already");
  }
  const std::uint64_t id = ++last_id;
  callbacks.push_back({id, std::move(labels), std::move(read)});
  return Registration([this, owned = std::string(name), id] { RemoveCallback(owned, id); });
}

void Registry::Impl::KeepCallback(std::string_view name, std::string_view help, MetricType type,
                                  std::function<double()> read) {
  const std::lock_guard lock(mutex);
  auto& callbacks =
      std::get<Callbacks>(Get(name, help, type, {}, [] { return Callbacks(); }).content);
  if (callbacks.empty()) callbacks.push_back({++last_id, {}, std::move(read)});
}

void Registry::Impl::RemoveCallback(const std::string& name, std::uint64_t id) {
  const std::lock_guard lock(mutex);
  const auto found = entries.find(name);
  if (found == entries.end()) return;
  auto& callbacks = std::get<Callbacks>(found->second.content);
  std::erase_if(callbacks, [id](const Callback& callback) { return callback.id == id; });
  if (callbacks.empty()) entries.erase(found);
}

Registry::Registry() : impl_(std::make_unique<Impl>()) {}
Registry::~Registry() = default;

Counter& Registry::Counter(std::string_view name, std::string_view help) {
  return CounterFamily(name, help, {}).With(std::vector<std::string>());
}

Gauge& Registry::Gauge(std::string_view name, std::string_view help) {
  return GaugeFamily(name, help, {}).With(std::vector<std::string>());
}

Histogram& Registry::Histogram(std::string_view name, std::string_view help,
                               std::vector<double> bounds) {
  return HistogramFamily(name, help, {}, std::move(bounds)).With(std::vector<std::string>());
}

Family<Counter>& Registry::CounterFamily(std::string_view name, std::string_view help,
                                         std::vector<std::string> label_names,
                                         std::size_t children_max) {
  using Metric = metrics::Counter;
  return impl_->GetFamily<Metric>(name, help, MetricType::Counter, label_names, [&] {
    return std::unique_ptr<Family<Metric>>(
        new Family<Metric>(label_names, children_max, [] { return std::make_unique<Metric>(); }));
  });
}

Family<Gauge>& Registry::GaugeFamily(std::string_view name, std::string_view help,
                                     std::vector<std::string> label_names,
                                     std::size_t children_max) {
  using Metric = metrics::Gauge;
  return impl_->GetFamily<Metric>(name, help, MetricType::Gauge, label_names, [&] {
    return std::unique_ptr<Family<Metric>>(
        new Family<Metric>(label_names, children_max, [] { return std::make_unique<Metric>(); }));
  });
}

Family<Histogram>& Registry::HistogramFamily(std::string_view name, std::string_view help,
                                             std::vector<std::string> label_names,
                                             std::vector<double> bounds, std::size_t children_max) {
  using Metric = metrics::Histogram;
  return impl_->GetFamily<Metric>(name, help, MetricType::Histogram, label_names, [&] {
    return std::unique_ptr<Family<Metric>>(new Family<Metric>(
        label_names, children_max, [bounds] { return std::make_unique<Metric>(bounds); }));
  });
}

Registration Registry::GaugeCallback(std::string_view name, std::string_view help,
                                     std::function<double()> read, Labels labels) {
  return impl_->AddCallback(name, help, MetricType::Gauge, std::move(read), std::move(labels));
}

Registration Registry::CounterCallback(std::string_view name, std::string_view help,
                                       std::function<double()> read, Labels labels) {
  return impl_->AddCallback(name, help, MetricType::Counter, std::move(read), std::move(labels));
}

void Registry::KeepGaugeCallback(std::string_view name, std::string_view help,
                                 std::function<double()> read) {
  impl_->KeepCallback(name, help, MetricType::Gauge, std::move(read));
}

void Registry::KeepCounterCallback(std::string_view name, std::string_view help,
                                   std::function<double()> read) {
  impl_->KeepCallback(name, help, MetricType::Counter, std::move(read));
}

std::string Registry::Serialize() const {
  std::vector<MetricFamily> families;
  {
    const std::lock_guard lock(impl_->mutex);
    for (const auto& [name, entry] : impl_->entries) {
      MetricFamily family{name, entry.help, entry.type, {}};
      if (const auto* callbacks = std::get_if<Callbacks>(&entry.content)) {
        for (const Callback& callback : *callbacks) {
          ClientMetric& metric = family.metric.emplace_back();
          for (const auto& [label, value] : callback.labels) metric.label.push_back({label, value});
          // The type says which of the two the serializer reads.
          metric.counter.value = metric.gauge.value = callback.read();
        }
      } else {
        std::visit(
            [&](const auto& content) {
              if constexpr (!std::is_same_v<std::decay_t<decltype(content)>, Callbacks>) {
                const std::lock_guard family_lock(content->mutex_);
                for (const auto& [values, child] : content->children_) {
                  ClientMetric& metric = family.metric.emplace_back();
                  for (std::size_t i = 0; i < values.size(); ++i) {
                    metric.label.push_back({content->label_names_[i], values[i]});
                  }
                  Fill(*child, &metric);
                }
              }
            },
            entry.content);
      }
      families.push_back(std::move(family));
    }
  }
  std::ostringstream out;
  prometheus::TextSerializer().Serialize(out, families);
  return std::move(out).str();
}

}  // namespace penstock::metrics
