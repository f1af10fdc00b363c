#!/usr/bin/python3
"""Calls of a function that does nothing, through the function-executor, with records of them and without, against a bare
gRPC server that echoes.

Writes JSON to $PENSTOCK_RESULT, or prints it alone. The targets are printed beside the result and never asserted.
"""

import argparse
import json
import pathlib
import statistics
import subprocess
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))

from penstock_test.process import bin_dir
from penstock_test.suite import Suite
from penstock_test.wrk import write_result

TARGETS = {"invoke": 0.7, "stream": 1.0, "stream_unrecorded": 3.0}
FUNCTION = "spaces/default/functions/nothing"
INVOKE = "/penstock.executions.v1.FunctionExecutorService/Invoke"
LOAD = bin_dir().parent / "tests" / "invoke_load"


def run(*arguments):
    done = subprocess.run([LOAD, *map(str, arguments)], capture_output=True, text=True, check=True)
    return json.loads(done.stdout)


def measure(suites, echo_port, seconds, rounds):
    executors = {name: f"127.0.0.1:{suite.ports['executor']}" for name, suite in suites.items()}
    tokens = {name: suite.folder / "peer.token" for name, suite in suites.items()}
    ways = {
        "echo": ("unary", f"127.0.0.1:{echo_port}", "/bench.Echo/Call", FUNCTION, seconds),
        "invoke": ("unary", executors["all"], INVOKE, FUNCTION, seconds),
        "stream": ("stream", executors["all"], FUNCTION, tokens["all"], seconds),
        "stream_unrecorded": ("stream", executors["none"], FUNCTION, tokens["none"], seconds),
    }
    runs = {name: [] for name in ways}
    # In turn, so that all meet the same machine.
    for _ in range(rounds):
        for name, arguments in ways.items():
            runs[name].append(run(*arguments))
    result = {}
    for name, found in runs.items():
        result[name] = {
            "per_second": statistics.median(one["per_second"] for one in found),
            "failed": sum(one["failed"] for one in found),
        }
        if "p99_us" in found[0]:
            result[name]["p50_us"] = statistics.median(one["p50_us"] for one in found)
            result[name]["p99_us"] = statistics.median(one["p99_us"] for one in found)
    for name, target in TARGETS.items():
        pairs = zip(runs[name], runs["echo"])
        result[name]["ratio"] = round(
            statistics.median(ours["per_second"] / echo["per_second"] for ours, echo in pairs), 2
        )
        result[name]["ratio_target"] = target
    return result


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--seconds", type=int, default=4)
    parser.add_argument("--rounds", type=int, default=3)
    arguments = parser.parse_args()
    suites = {
        record: Suite(
            "services",
            options={"function-executor": [f"--executions.record={record}"]},
            log_level="warn",
        )
        for record in ("all", "none")
    }
    echo = subprocess.Popen([LOAD, "echo"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    try:
        port = int(echo.stdout.readline())
        for suite in suites.values():
            suite.start()
            made = suite.http.post(
                "/api/v1/spaces/default/functions?functionId=nothing", json_body={"noop": {}}
            )
            if made.status != 200:
                raise RuntimeError(f"the function could not be made: {made}")
        result = measure(suites, port, arguments.seconds, arguments.rounds)
    finally:
        for suite in suites.values():
            suite.close()
        echo.stdin.close()
        echo.wait(10)
    write_result(result)


if __name__ == "__main__":
    main()
