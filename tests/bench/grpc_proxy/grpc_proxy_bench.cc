// Unary gRPC calls: direct, through a proxy on gRPC's generic API, and through the gateway's proxy,
// in turns on the same cores. Every party is a process of its own.
#include <fcntl.h>
#include <fmt/format.h>
#include <spawn.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <iterator>
#include <sstream>
#include <string>
#include <string_view>
#include <vector>

#include "tests/bench/grpc_proxy/client.h"
#include "tests/bench/grpc_proxy/echo_server.h"
#include "tests/bench/grpc_proxy/roles.h"

extern char** environ;

namespace penstock::gateway {
namespace {

constexpr int kRounds = 3;

// This program again, in another role.
class Role {
 public:
  explicit Role(std::vector<std::string> words) {
    std::array<int, 2> in{};
    std::array<int, 2> out{};
    if (pipe2(in.data(), O_CLOEXEC) != 0 || pipe2(out.data(), O_CLOEXEC) != 0) std::abort();
    posix_spawn_file_actions_t actions;
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_adddup2(&actions, in[0], STDIN_FILENO);
    posix_spawn_file_actions_adddup2(&actions, out[1], STDOUT_FILENO);
    words.insert(words.begin(), "grpc_proxy_bench");
    std::vector<char*> arguments;
    for (std::string& word : words) arguments.push_back(word.data());
    arguments.push_back(nullptr);
    if (posix_spawn(&pid_, "/proc/self/exe", &actions, nullptr, arguments.data(), environ) != 0) {
      std::abort();
    }
    posix_spawn_file_actions_destroy(&actions);
    close(in[0]);
    close(out[1]);
    stdin_ = in[1];
    FILE* const output = fdopen(out[0], "r");
    int port = 0;
    if (std::fscanf(output, "%d", &port) != 1) std::abort();
    std::fclose(output);
    address = fmt::format("127.0.0.1:{}", port);
  }
  // Its input ends, and so does it.
  ~Role() {
    close(stdin_);
    waitpid(pid_, nullptr, 0);
  }
  Role(const Role&) = delete;
  Role& operator=(const Role&) = delete;

  // What it has used of the processor so far.
  double CpuSeconds() const {
    std::ifstream file(fmt::format("/proc/{}/stat", pid_));
    std::string text((std::istreambuf_iterator<char>(file)), std::istreambuf_iterator<char>());
    std::istringstream fields(text.substr(text.rfind(')') + 1));
    std::string skipped;
    for (int i = 0; i < 11; ++i) fields >> skipped;
    double user = 0;
    double system = 0;
    fields >> user >> system;
    return (user + system) / static_cast<double>(sysconf(_SC_CLK_TCK));
  }

  std::string address;

 private:
  pid_t pid_ = 0;
  int stdin_ = -1;
};

double OwnCpuSeconds() {
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  const auto seconds = [](const timeval& time) {
    return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_usec) / 1e6;
  };
  return seconds(usage.ru_utime) + seconds(usage.ru_stime);
}

struct Row {
  std::string name;
  // Null: there is no proxy.
  const Role* proxy = nullptr;
  std::vector<LoadResult> rounds;
  // Over all rounds, warm-up included.
  double calls = 0;
  double ends_cpu_seconds = 0;
  double proxy_cpu_seconds = 0;

  LoadResult Median() const {
    std::vector<LoadResult> sorted = rounds;
    std::sort(sorted.begin(), sorted.end(), [](const LoadResult& a, const LoadResult& b) {
      return a.calls_per_second < b.calls_per_second;
    });
    return sorted[sorted.size() / 2];
  }
};

int Run(const std::string& result_file) {
  const Role server({"server"});
  const Role generic({"generic", server.address});
  const Role frames({"frames", server.address});
  std::vector<Row> rows(3);
  rows[0].name = "direct";
  rows[1].name = "generic API";
  rows[1].proxy = &generic;
  rows[2].name = "HTTP/2 frames";
  rows[2].proxy = &frames;
  std::size_t failures = 0;
  for (int round = 0; round < kRounds; ++round) {
    for (Row& row : rows) {
      const double ends = OwnCpuSeconds() + server.CpuSeconds();
      const double proxy = row.proxy == nullptr ? 0 : row.proxy->CpuSeconds();
      LoadOptions options;
      options.address = row.proxy == nullptr ? server.address : row.proxy->address;
      row.rounds.push_back(RunLoad(options));
      failures += row.rounds.back().failures;
      row.calls += static_cast<double>(row.rounds.back().calls);
      row.ends_cpu_seconds += OwnCpuSeconds() + server.CpuSeconds() - ends;
      if (row.proxy != nullptr) row.proxy_cpu_seconds += row.proxy->CpuSeconds() - proxy;
    }
  }
  const double direct = rows[0].Median().calls_per_second;
  const double direct_cpu = rows[0].ends_cpu_seconds / rows[0].calls;
  std::string json;
  std::puts("                                               CPU us a call:");
  std::puts(
      "way              calls/s of direct  p50 us  p99 us   ends   proxy  (median of 3 rounds)");
  for (const Row& row : rows) {
    const LoadResult result = row.Median();
    const double ratio = result.calls_per_second / direct;
    const double ends = row.ends_cpu_seconds * 1e6 / row.calls;
    const double proxy = row.proxy_cpu_seconds * 1e6 / row.calls;
    const double by_cpu = direct_cpu * 1e6 / (ends + proxy);
    std::puts(fmt::format("{:<14} {:>9.0f} {:>9.2f} {:>7.0f} {:>7.0f} {:>6.1f} {:>7.1f} {:>10.2f}",
                          row.name, result.calls_per_second, ratio, result.p50_us, result.p99_us,
                          ends, proxy, by_cpu)
                  .c_str());
    json += fmt::format(
        R"({}{{"name":"{}","calls_per_second":{:.0f},"of_direct":{:.3f},"p50_us":{:.0f},)"
        R"("p99_us":{:.0f},"ends_cpu_us":{:.1f},"proxy_cpu_us":{:.1f},)"
        R"("of_direct_by_cpu":{:.3f}}})",
        json.empty() ? "" : ",", row.name, result.calls_per_second, ratio, result.p50_us,
        result.p99_us, ends, proxy, by_cpu);
  }
  if (!result_file.empty()) std::ofstream(result_file) << "{\"benchmarks\":[" << json << "]}\n";
  if (failures > 0) std::puts(fmt::format("{} calls failed", failures).c_str());
  return failures > 0 ? 1 : 0;
}

}  // namespace
}  // namespace penstock::gateway

int main(int argc, char** argv) {
  using namespace penstock::gateway;
  const std::string_view role = argc > 1 ? argv[1] : "";
  if (role == "server") return RunEchoServer();
  if (role == "generic" && argc > 2) return RunGenericProxy(argv[2]);
  if (role == "frames" && argc > 2) return RunFrameProxy(argv[2]);
  constexpr std::string_view kOut = "--benchmark_out=";
  std::string result_file;
  for (int i = 1; i < argc; ++i) {
    const std::string_view argument = argv[i];
    if (argument.starts_with(kOut)) result_file = argument.substr(kOut.size());
  }
  return Run(result_file);
}
