#!/usr/bin/python3
"""How fast the suite is: durable publishing against nginx's fixed answer, and the way from publish to function.

Writes JSON to $PENSTOCK_RESULT, or prints it alone. Targets are printed beside the results and never asserted.
"""

import argparse
import os
import pathlib
import statistics
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))

from penstock_test.api import Api
from penstock_test.checks import wait_until
from penstock_test.load import Load
from penstock_test.nginx import Nginx
from penstock_test.receiver import Receiver
from penstock_test.source import Source
from penstock_test.suite import SHAPES, Suite
from penstock_test.wrk import run_wrk, write_result

CONNECTIONS = 64
RATIO_TARGET = 0.4
# From the send to the function's first byte: p50 by shape, p99 of both.
P50_TARGET_MS = {"services": 1.2, "up": 0.8}
P99_TARGET_MS = 5.0
# p99 of a quiet subscription beside a space with this many times its load and a function that hangs,
# against its p99 alone.
NEIGHBOUR_LOAD = 100
NEIGHBOUR_TARGET = 2.0
# A disk that stalls once says nothing of neighbours: the median of the p99 of windows of this length.
WINDOW_SECONDS = 4
LUA = pathlib.Path(__file__).with_name("publish.lua")

FIXED_ANSWER = """
    location / {
      default_type application/json;
      return 202 '{"id":"bench-0000000000-0-000000","sequence":"000000","status":"ACCEPTED"}';
    }
"""


def publish_by_wrk(port, seconds):
    """Requests a second and latencies with unique events."""
    return run_wrk(port, "/events", seconds, CONNECTIONS, LUA.read_text(encoding="utf-8"))


def publish_bench(shape, seconds, turns):
    """Alternates nginx and Penstock, so that a change of the machine's speed meets both."""
    nginx = Nginx(FIXED_ANSWER)
    suite = Suite(shape, log_level="warn").start()
    runs = {"nginx": [], "penstock": []}
    try:
        publish_by_wrk(suite.ports["http"], 2)
        for _ in range(turns):
            runs["nginx"].append(publish_by_wrk(nginx.port, seconds))
            runs["penstock"].append(publish_by_wrk(suite.ports["http"], seconds))
    finally:
        suite.close()
        nginx.close()
    rates = {
        name: statistics.median(run["per_second"] for run in many) for name, many in runs.items()
    }
    return {
        "shape": shape,
        "connections": CONNECTIONS,
        "event_bytes": 256,
        "nginx_per_second": rates["nginx"],
        "penstock_per_second": rates["penstock"],
        "ratio": round(rates["penstock"] / rates["nginx"], 3),
        "ratio_target": RATIO_TARGET,
        "penstock_p50_ms": statistics.median(run["p50_us"] for run in runs["penstock"]) / 1000,
        "penstock_p99_ms": statistics.median(run["p99_us"] for run in runs["penstock"]) / 1000,
        "refused": sum(run["failed"] for run in runs["penstock"]),
    }


def latency_bench(shape, seconds, rate):
    """From before the publish request is sent until the function's HTTP server has its event."""
    receiver = Receiver()
    suite = Suite(shape, log_level="warn").start()
    try:
        api = Api(suite.http)
        api.create_http("count", receiver.url)
        api.subscribe("count", "load.*", "count", maxInFlight=256)
        warm = Source(suite.ports["http"], rate=rate, seconds=2, prefix="warm").finish()
        wait_until(lambda: receiver.counts()["ids"] >= warm["accepted"], 30, "the warm-up arrives")
        receiver.reset()
        sent = Source(suite.ports["http"], rate=rate, seconds=seconds).finish()
        wait_until(lambda: receiver.counts()["ids"] >= sent["accepted"], 30, "events arrive")
        latencies = sorted(receiver.latencies())
    finally:
        suite.close()
        receiver.close()
    cut = statistics.quantiles(latencies, n=1000)
    return {
        "shape": shape,
        "rate_wanted": rate,
        "rate": round(len(latencies) / seconds),
        "refused": sent["refused"],
        "ack_p50_ms": round(sent["ack_p50_us"] / 1000, 2),
        "p50_ms": round(cut[499] / 1000, 2),
        "p99_ms": round(cut[989] / 1000, 2),
        "p999_ms": round(cut[998] / 1000, 2),
        "p50_target_ms": P50_TARGET_MS[shape],
        "p99_target_ms": P99_TARGET_MS,
    }


def window_p99s(receiver, seconds):
    """The p99 in milliseconds of each window of what arrives in so many seconds."""
    p99s = []
    for _ in range(max(1, seconds // WINDOW_SECONDS)):
        receiver.reset()
        time.sleep(WINDOW_SECONDS)
        p99s.append(statistics.quantiles(receiver.latencies(), n=100)[98] / 1000)
    return p99s


def neighbour_bench(shape, seconds, rate):
    """A quiet subscription alone, then beside a space with a hundred times its load whose function hangs."""
    receiver, hanging = Receiver(), Receiver()
    hanging.plan("/", hang=1)
    suite = Suite(shape, log_level="warn").start()
    try:
        quiet, noisy = Api(suite.http, "quiet"), Api(suite.http, "noisy")
        quiet.create_http("count", receiver.url)
        quiet.subscribe("count", "load.*", "count")
        noisy.create_http("hang", hanging.url, timeout="1s")
        noisy.subscribe("hang", "load.*", "hang", maxInFlight=1024, retry={"maxAttempts": 3})
        calm = Source(
            suite.ports["http"], rate=rate, seconds=2 * seconds + 10, prefix="q", space="quiet"
        )
        time.sleep(2)
        alone = window_p99s(receiver, seconds)
        storm = Load(
            suite.ports["http"],
            rate * NEIGHBOUR_LOAD,
            "load.item",
            "n",
            connections=8,
            batch=25,
            space="noisy",
        ).start()
        time.sleep(3)
        beside = window_p99s(receiver, seconds)
        storm.stop()
        calm.close()
    finally:
        suite.close()
        receiver.close()
        hanging.close()
    return {
        "shape": shape,
        "rate": rate,
        "noisy_rate": rate * NEIGHBOUR_LOAD,
        "alone_p99_ms": round(statistics.median(alone), 2),
        "beside_p99_ms": round(statistics.median(beside), 2),
        "ratio": round(statistics.median(beside) / statistics.median(alone), 2),
        "ratio_target": NEIGHBOUR_TARGET,
        "windows_alone_ms": [round(p99, 2) for p99 in alone],
        "windows_beside_ms": [round(p99, 2) for p99 in beside],
    }


def report(result):
    for one in result["publish"]:
        print(
            f"publish  {one['shape']:<9} {one['penstock_per_second']:>8.0f}/s  nginx {one['nginx_per_second']:.0f}/s  "
            f"ratio {one['ratio']} (target {one['ratio_target']})  p99 {one['penstock_p99_ms']:.1f} ms  "
            f"refused {one['refused']}"
        )
    for one in result["latency"]:
        print(
            f"latency  {one['shape']:<9} {one['rate']:>8.0f}/s  p50 {one['p50_ms']} ms "
            f"(target {one['p50_target_ms']})  p99 {one['p99_ms']} ms (target {one['p99_target_ms']})  "
            f"p99.9 {one['p999_ms']} ms"
        )
    for one in result["neighbour"]:
        print(
            f"neighbour {one['shape']:<8} {one['rate']:>8.0f}/s  p99 alone {one['alone_p99_ms']} ms, beside "
            f"{one['noisy_rate']}/s to a function that hangs {one['beside_p99_ms']} ms  "
            f"ratio {one['ratio']} (target {one['ratio_target']})"
        )


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--shape", choices=[*SHAPES, "all"], default="all")
    parser.add_argument("--seconds", type=int, default=8)
    parser.add_argument("--turns", type=int, default=3)
    parser.add_argument("--rate", type=int, default=5000)
    parser.add_argument("--only", choices=["publish", "latency", "neighbour"])
    arguments = parser.parse_args()
    shapes = SHAPES if arguments.shape == "all" else [arguments.shape]
    result = {"cores": os.cpu_count(), "publish": [], "latency": [], "neighbour": []}
    for shape in shapes:
        if arguments.only in (None, "publish"):
            result["publish"].append(publish_bench(shape, arguments.seconds, arguments.turns))
        if arguments.only in (None, "latency"):
            for rate in sorted({1000, arguments.rate}):
                result["latency"].append(latency_bench(shape, arguments.seconds, rate))
        if arguments.only in (None, "neighbour"):
            result["neighbour"].append(neighbour_bench(shape, arguments.seconds, 50))
    report(result)
    write_result(result)


if __name__ == "__main__":
    main()
