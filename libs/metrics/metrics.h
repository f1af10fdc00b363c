// Metrics of a process: counters, gauges and histograms, written as Prometheus text.
//
// Names are penstock_<service>_<noun>_<unit>; a counter ends in _total. Labels have few values by
// construction: ids go into logs.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <initializer_list>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace penstock::metrics {

// A number that only grows. Thread-safe, lock-free.
class Counter {
 public:
  void Increment(std::uint64_t by = 1) { value_.fetch_add(by, std::memory_order_relaxed); }
  std::uint64_t Value() const { return value_.load(std::memory_order_relaxed); }

 private:
  std::atomic<std::uint64_t> value_{0};
};

// A number that goes up and down. Thread-safe, lock-free.
class Gauge {
 public:
  void Set(double value) { value_.store(value, std::memory_order_relaxed); }
  void Add(double by) { value_.fetch_add(by, std::memory_order_relaxed); }
  double Value() const { return value_.load(std::memory_order_relaxed); }

 private:
  std::atomic<double> value_{0};
};

// Counts observations in buckets. Thread-safe, lock-free; a scrape may see an observation's bucket
// before its sum.
class Histogram {
 public:
  // `bounds` are the upper bounds, inclusive, strictly rising; +Inf is implied.
  explicit Histogram(std::vector<double> bounds);

  void Observe(double value);

  const std::vector<double>& bounds() const { return bounds_; }
  // Observations in bucket `index` alone; index bounds().size() is what lay above all bounds.
  std::uint64_t CountIn(std::size_t index) const {
    return counts_[index].load(std::memory_order_relaxed);
  }
  std::uint64_t Count() const;
  double Sum() const { return sum_.load(std::memory_order_relaxed); }

 private:
  const std::vector<double> bounds_;
  std::vector<std::atomic<std::uint64_t>> counts_;
  std::atomic<double> sum_{0};
};

// Bounds in seconds from 0.5 ms to 60 s: for calls and deliveries.
std::vector<double> LatencyBounds();
// Bounds in bytes from 256 B to 16 MiB, each four times the one before.
std::vector<double> SizeBounds();

// Metrics of one name that differ by the values of their labels. Thread-safe. With() takes a lock:
// callers on a hot path keep the reference, which lives as long as the registry.
template <typename Metric>
class Family {
 public:
  // The metric for these label values, in the order of the label names. Once the family holds
  // `children_max` metrics, new combinations share one whose labels all read "other".
  Metric& With(std::initializer_list<std::string_view> values) {
    return With(std::vector<std::string>(values.begin(), values.end()));
  }
  Metric& With(std::vector<std::string> values);
  // Takes the metric of these label values away, when what they name is gone. Nobody may use it any
  // more.
  void Remove(const std::vector<std::string>& values);

 private:
  friend class Registry;
  Family(std::vector<std::string> label_names, std::size_t children_max,
         std::function<std::unique_ptr<Metric>()> make)
      : label_names_(std::move(label_names)), children_max_(children_max), make_(std::move(make)) {}

  const std::vector<std::string> label_names_;
  const std::size_t children_max_;
  const std::function<std::unique_ptr<Metric>()> make_;
  mutable std::mutex mutex_;
  std::map<std::vector<std::string>, std::unique_ptr<Metric>> children_;
};

// Label names with their values.
using Labels = std::vector<std::pair<std::string, std::string>>;

// Takes a callback out of its registry when it goes away, and waits for a scrape that is reading
// it. Movable. The registry must outlive it.
class [[nodiscard]] Registration {
 public:
  Registration() = default;
  explicit Registration(std::function<void()> remove) : remove_(std::move(remove)) {}
  Registration(Registration&& other) noexcept : remove_(std::exchange(other.remove_, nullptr)) {}
  Registration& operator=(Registration&& other) noexcept {
    Reset();
    remove_ = std::exchange(other.remove_, nullptr);
    return *this;
  }
  ~Registration() { Reset(); }

  // Removes now.
  void Reset() {
    if (auto remove = std::exchange(remove_, nullptr)) remove();
  }

 private:
  std::function<void()> remove_;
};

// All metrics of a process; made in its composition root and passed by reference. Thread-safe. What
// it returns lives as long as it does. Asking twice for the same name gives the same metric; asking
// for it with another type, help or label names, or for an ill-formed name, is a programming error
// and aborts.
class Registry {
 public:
  static constexpr std::size_t kChildrenMax = 100;

  Registry();
  ~Registry();
  Registry(const Registry&) = delete;
  Registry& operator=(const Registry&) = delete;

  metrics::Counter& Counter(std::string_view name, std::string_view help);
  metrics::Gauge& Gauge(std::string_view name, std::string_view help);
  metrics::Histogram& Histogram(std::string_view name, std::string_view help,
                                std::vector<double> bounds = LatencyBounds());

  Family<metrics::Counter>& CounterFamily(std::string_view name, std::string_view help,
                                          std::vector<std::string> label_names,
                                          std::size_t children_max = kChildrenMax);
  Family<metrics::Gauge>& GaugeFamily(std::string_view name, std::string_view help,
                                      std::vector<std::string> label_names,
                                      std::size_t children_max = kChildrenMax);
  Family<metrics::Histogram>& HistogramFamily(std::string_view name, std::string_view help,
                                              std::vector<std::string> label_names,
                                              std::vector<double> bounds = LatencyBounds(),
                                              std::size_t children_max = kChildrenMax);

  // A gauge or counter whose value is read at each scrape, on the scraping thread. `read` must not
  // block and must not use the registry. Several callbacks of one name differ in their labels.
  Registration GaugeCallback(std::string_view name, std::string_view help,
                             std::function<double()> read, Labels labels = {});
  Registration CounterCallback(std::string_view name, std::string_view help,
                               std::function<double()> read, Labels labels = {});

  // As the two above for callbacks that refer to nothing that can go away: they stay as long as the
  // registry. A second one of the same name and labels is ignored.
  void KeepGaugeCallback(std::string_view name, std::string_view help,
                         std::function<double()> read);
  void KeepCounterCallback(std::string_view name, std::string_view help,
                           std::function<double()> read);

  // Everything in the Prometheus text format 0.0.4.
  std::string Serialize() const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

// Adds penstock_build_info{service,version}, and the usual process_* metrics: start time, CPU
// seconds, resident memory, open and allowed file descriptors. The registry keeps them. A process
// of several services calls it once for each; the process_* metrics are there once.
void RegisterProcessMetrics(Registry& registry, std::string_view service, std::string_view version);

}  // namespace penstock::metrics
