// What every process reports about itself, read from /proc at each scrape.
#include <dirent.h>
#include <sys/resource.h>
#include <unistd.h>

#include <fstream>
#include <sstream>
#include <string>

#include "libs/base/time.h"
#include "libs/metrics/metrics.h"

namespace penstock::metrics {
namespace {

double ResidentBytes() {
  std::ifstream file("/proc/self/statm");
  double total_pages = 0;
  double resident_pages = 0;
  file >> total_pages >> resident_pages;
  return resident_pages * static_cast<double>(sysconf(_SC_PAGESIZE));
}

double OpenFileDescriptors() {
  DIR* const folder = opendir("/proc/self/fd");
  if (folder == nullptr) return 0;
  // ".", ".." and the descriptor that reads the folder do not count.
  double count = -3;
  while (readdir(folder) != nullptr) ++count;
  closedir(folder);
  return count;
}

double AllowedFileDescriptors() {
  rlimit limit{};
  if (getrlimit(RLIMIT_NOFILE, &limit) != 0) return 0;
  return static_cast<double>(limit.rlim_cur);
}

double CpuSeconds() {
  rusage usage{};
  if (getrusage(RUSAGE_SELF, &usage) != 0) return 0;
  const auto seconds = [](const timeval& time) {
    return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_usec) / 1e6;
  };
  return seconds(usage.ru_utime) + seconds(usage.ru_stime);
}

// Seconds since the epoch, from the process's age in /proc: this may be called long after the
// start.
double StartTimeSeconds() {
  const double now = static_cast<double>(ToUnixMicros(SystemClock().Wall())) / 1e6;
  std::ifstream stat_file("/proc/self/stat");
  std::string stat;
  std::getline(stat_file, stat);
  // The second field is the program's name in brackets and may hold spaces.
  const std::size_t name_end = stat.rfind(')');
  double uptime = 0;
  std::ifstream("/proc/uptime") >> uptime;
  if (name_end == std::string::npos || uptime <= 0) return now;
  std::istringstream fields(stat.substr(name_end + 1));
  std::string skipped;
  for (int i = 3; i < 22; ++i) fields >> skipped;
  double start_ticks = 0;
  fields >> start_ticks;
  return now - (uptime - start_ticks / static_cast<double>(sysconf(_SC_CLK_TCK)));
}

}  // namespace

void RegisterProcessMetrics(Registry& registry, std::string_view service,
                            std::string_view version) {
  registry
      .GaugeFamily("penstock_build_info", "Always 1; the labels say what runs.",
                   {"service", "version"})
      .With({service, version})
      .Set(1);
  registry
      .Gauge("process_start_time_seconds", "When the process started, in seconds since the epoch.")
      .Set(StartTimeSeconds());
  registry.KeepCounterCallback("process_cpu_seconds_total",
                               "User and system CPU time used, in seconds.", CpuSeconds);
  registry.KeepGaugeCallback("process_resident_memory_bytes", "Resident memory, in bytes.",
                             ResidentBytes);
  registry.KeepGaugeCallback("process_open_fds", "Open file descriptors.", OpenFileDescriptors);
  registry.KeepGaugeCallback("process_max_fds", "File descriptors that may be open.",
                             AllowedFileDescriptors);
}

}  // namespace penstock::metrics
