#!/usr/bin/python3
"""The reverse proxy against nginx as one, to the same upstream, in turns of the same run.

Writes JSON to $PENSTOCK_RESULT, or prints it alone. Targets are printed beside the results and never asserted.
"""

import argparse
import os
import pathlib
import statistics
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))

from penstock_test.gateway import Gateway
from penstock_test.nginx import Nginx
from penstock_test.wrk import run_wrk, write_result

CONNECTIONS = 64
RATIO_TARGET = 0.8
P99_TARGET = 1.3
SIZES = {"1k": 1024, "100k": 100 * 1024, "1m": 1024 * 1024}

UPSTREAM = """
    location / { }
"""

# What the gateway adds, nginx adds too.
PROXY_HTTP = """
  upstream up { server 127.0.0.1:%d; keepalive 256; keepalive_requests 100000000; }
"""
PROXY_SERVER = """
    location / {
      proxy_pass http://up;
      proxy_http_version 1.1;
      proxy_buffering %s;
      proxy_set_header Connection "";
      proxy_set_header Host $http_host;
      proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;
      proxy_set_header X-Forwarded-Host $http_host;
      proxy_set_header X-Forwarded-Proto $scheme;
      proxy_set_header X-Request-Id $request_id;
      proxy_set_header Via "1.1 nginx";
      add_header Via "1.1 nginx";
      add_header X-Request-Id $request_id;
    }
"""


def compare(proxies, name, path, seconds, turns):
    """Medians over the turns; each turn asks every proxy once."""
    runs = {proxy: [] for proxy in proxies}
    for proxy, port in proxies.items():
        run_wrk(port, path, 1, CONNECTIONS)
    for _ in range(turns):
        for proxy, port in proxies.items():
            runs[proxy].append(run_wrk(port, path, seconds, CONNECTIONS))
    result = {"body": name, "connections": CONNECTIONS}
    for proxy, many in runs.items():
        for what in ("per_second", "p50_us", "p99_us"):
            result[f"{proxy}_{what}"] = statistics.median(run[what] for run in many)
        result[f"{proxy}_failed"] = sum(run["failed"] for run in many)
    result["ratio"] = round(result["penstock_per_second"] / result["nginx_per_second"], 3)
    result["p99_ratio"] = round(result["penstock_p99_us"] / result["nginx_p99_us"], 3)
    return result


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--seconds", type=int, default=6)
    parser.add_argument("--turns", type=int, default=3)
    parser.add_argument("--body", choices=[*SIZES, "all"], default="all")
    parser.add_argument("--unbuffered", action="store_true", help="nginx with proxy_buffering off")
    arguments = parser.parse_args()
    sizes = SIZES if arguments.body == "all" else {arguments.body: SIZES[arguments.body]}
    upstream = Nginx(UPSTREAM, workers=1)
    for name, size in SIZES.items():
        (upstream.folder / name).write_bytes(b"x" * size)
    buffering = "off" if arguments.unbuffered else "on"
    nginx = Nginx(PROXY_SERVER % buffering, http=PROXY_HTTP % upstream.port)
    gateway = Gateway(
        {
            "upstreams": [
                {"name": "up", "servers": [{"url": f"http://127.0.0.1:{upstream.port}"}]}
            ],
            "routes": [{"path_prefix": "/", "upstream": "up"}],
        }
    )
    proxies = {"direct": upstream.port, "nginx": nginx.port, "penstock": gateway.port}
    try:
        results = [
            compare(proxies, name, f"/{name}", arguments.seconds, arguments.turns) for name in sizes
        ]
    finally:
        gateway.close()
        nginx.close()
        upstream.close()
    for one in results:
        print(
            f"proxy {one['body']:<5} {one['penstock_per_second']:>7.0f}/s  nginx {one['nginx_per_second']:.0f}/s  "
            f"direct {one['direct_per_second']:.0f}/s  ratio {one['ratio']} (target {RATIO_TARGET})  "
            f"p50 {one['penstock_p50_us']:.0f} µs (nginx {one['nginx_p50_us']:.0f})  "
            f"p99 {one['penstock_p99_us']:.0f} µs (nginx {one['nginx_p99_us']:.0f})  "
            f"ratio {one['p99_ratio']} (target {P99_TARGET})  failed {one['penstock_failed']}"
        )
    write_result({"cores": os.cpu_count(), "nginx_buffers": buffering == "on", "proxy": results})


if __name__ == "__main__":
    main()
