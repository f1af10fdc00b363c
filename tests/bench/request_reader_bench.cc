// What it costs to make requests of a connection's bytes: heads as a browser, a service and a load
// generator send them, bodies with a length and in chunks. One request a turn, all of it in the
// buffer at once; "items" are requests.
#include <benchmark/benchmark.h>

#include <cstdlib>
#include <cstring>
#include <string>
#include <string_view>

#include "libs/http/request_reader.h"

namespace penstock::http {
namespace {

constexpr std::string_view kPlain = "GET /health HTTP/1.1\r\nHost: localhost:8080\r\n\r\n";

constexpr std::string_view kBrowser =
    "GET /api/v1/spaces/default/subscriptions?pageSize=50&pageToken=abcdef HTTP/1.1\r\n"
    "Host: events.example.com\r\n"
    "User-Agent: Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0\r\n"
    "Accept: application/json, text/plain, */*\r\n"
    "Accept-Language: en-US,en;q=0.7,de;q=0.3\r\n"
    "Accept-Encoding: gzip, deflate, br, zstd\r\n"
    "Referer: https://events.example.com/console/subscriptions\r\n"
    "Connection: keep-alive\r\n"
    "Cookie: session=0f8c2a567f3e4c5b9d1e0f8c2a567f3e; theme=dark\r\n"
    "Sec-Fetch-Dest: empty\r\n"
    "Sec-Fetch-Mode: cors\r\n"
    "Sec-Fetch-Site: same-origin\r\n"
    "Priority: u=4\r\n\r\n";

std::string Event(std::string_view framing, std::string_view body) {
  std::string bytes =
      "POST /events HTTP/1.1\r\n"
      "Host: events.example.com\r\n"
      "Content-Type: application/json\r\n"
      "ce-specversion: 1.0\r\n"
      "ce-id: 0f8c2a56-7f3e-4c5b-9d1e-0f8c2a567f3e\r\n"
      "ce-source: /shop/checkout\r\n"
      "ce-type: com.example.order.created\r\n";
  return bytes.append(framing).append("\r\n").append(body);
}

void ReadAll(benchmark::State& state, std::string_view bytes) {
  const ServerOptions options;
  Request peer;
  peer.remote_address = "127.0.0.1";
  RequestReader reader(options, peer);
  for (auto _ : state) {
    const std::span<char> room = reader.input().Prepare(bytes.size());
    std::memcpy(room.data(), bytes.data(), bytes.size());
    reader.input().Commit(bytes.size());
    if (reader.Next() != RequestReader::Event::kRequest) std::abort();
    Request request = reader.TakeRequest();
    benchmark::DoNotOptimize(request);
  }
  state.SetItemsProcessed(state.iterations());
  state.SetBytesProcessed(state.iterations() * static_cast<std::int64_t>(bytes.size()));
}

void BM_Plain(benchmark::State& state) { ReadAll(state, kPlain); }
BENCHMARK(BM_Plain);

void BM_Browser(benchmark::State& state) { ReadAll(state, kBrowser); }
BENCHMARK(BM_Browser);

void BM_Event(benchmark::State& state) {
  ReadAll(state, Event("Content-Length: 1024\r\n", std::string(1024, 'a')));
}
BENCHMARK(BM_Event);

// 16 chunks of 1 KiB.
void BM_Chunks(benchmark::State& state) {
  std::string body;
  for (int i = 0; i < 16; ++i) body.append("400\r\n").append(1024, 'a').append("\r\n");
  ReadAll(state, Event("Transfer-Encoding: chunked\r\n", body + "0\r\n\r\n"));
}
BENCHMARK(BM_Chunks);

}  // namespace
}  // namespace penstock::http
