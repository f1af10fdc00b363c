#!/usr/bin/python3
"""REST calls by our transcoder against grpc-gateway's reverse proxy, to the same function-manager.

Writes JSON to $PENSTOCK_RESULT, or prints it alone. The target is printed beside the result and never asserted.
"""

import argparse
import pathlib
import statistics
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))

from penstock_test.checks import Skip
from penstock_test.grpc_gateway import GrpcGateway
from penstock_test.suite import Suite
from penstock_test.wrk import run_wrk, write_result

RATIO_TARGET = 1.7
FUNCTION = "/api/v1/spaces/default/functions/bench"
PATCH = """
wrk.method = "PATCH"
wrk.body = '{"description":"of the benchmark","timeout":"30s","metadata":{"team":"a","tier":"b"}}'
wrk.headers["Content-Type"] = "application/json"
"""
# What is asked: a read, and a write that is checked and changes nothing.
CALLS = {"get": (FUNCTION, ""), "patch": (f"{FUNCTION}?validateOnly=true", PATCH)}


def median(runs, key):
    return statistics.median(run[key] for run in runs)


def measure(suite, theirs, seconds, rounds, connections):
    result = {}
    ports = {"penstock": suite.ports["http"], "grpc_gateway": theirs.port}
    for name, (path, script) in CALLS.items():
        runs = {side: [] for side in ports}
        for port in ports.values():
            run_wrk(port, path, 1, connections, script)
        # In turn, so that both meet the same machine.
        for _ in range(rounds):
            for side, port in ports.items():
                runs[side].append(run_wrk(port, path, seconds, connections, script))
        result[name] = {
            side: {key: median(runs[side], key) for key in ("per_second", "p50_us", "p99_us", "failed")}
            for side in ports
        }
        pairs = zip(runs["penstock"], runs["grpc_gateway"])
        result[name]["ratio"] = round(
            statistics.median(ours["per_second"] / other["per_second"] for ours, other in pairs), 2
        )
    return result


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--seconds", type=int, default=5)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--connections", type=int, default=64)
    arguments = parser.parse_args()
    suite = Suite("services", log_level="warn")
    try:
        suite.start()
        theirs = GrpcGateway(suite)
        made = suite.http.post(
            "/api/v1/spaces/default/functions?functionId=bench",
            json_body={"http": {"url": "http://127.0.0.1:9/x"}, "metadata": {"team": "a"}},
        )
        if made.status != 200:
            raise RuntimeError(f"the function could not be made: {made}")
        calls = measure(suite, theirs, arguments.seconds, arguments.rounds, arguments.connections)
    except Skip as reason:
        print(f"skipped: {reason}")
        return
    finally:
        suite.close()
    write_result({"ratio_target": RATIO_TARGET, "connections": arguments.connections, **calls})


if __name__ == "__main__":
    main()
