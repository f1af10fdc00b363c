#!/usr/bin/python3
"""How fast Python functions are as processes: cold start, what a warm call costs beyond one that does nothing, and calls
a second against the same handler under Python's own HTTP server.

Writes JSON to $PENSTOCK_RESULT, or prints it alone. Targets are printed beside the results and never asserted.
"""

import argparse
import http.client
import pathlib
import statistics
import subprocess
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))

from penstock_test.api import Api
from penstock_test.checks import wait_until
from penstock_test.process import free_ports
from penstock_test.suite import SHAPES, Suite
from penstock_test.wrk import run_wrk, write_result

COLD_TARGET_MS = 150.0
WARM_TARGET_MS = 1.0
CONNECTIONS = 16
WORKERS = 2
BODY = '{"name":"Ada","numbers":[1,2,3]}'
HANDLER = "def handle(ctx, payload):\n    return {'hello': payload['name'], 'sum': sum(payload['numbers'])}\n"
# The handler, and around it no more than a server must do.
SERVER = """
import http.server, json, sys
{handler}
class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    def do_POST(self):
        payload = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        body = json.dumps(handle(None, payload)).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
    def log_message(self, *_):
        pass
http.server.ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), Handler).serve_forever()
"""
LUA = f"""
wrk.method = "POST"
wrk.body = '{BODY}'
wrk.headers["Content-Type"] = "application/json"
"""


def path_of(function):
    return f"/api/v1/spaces/default/functions/{function}:invoke"


def timed_calls(port, path, count):
    """The milliseconds of each of `count` calls, one after the other on one connection."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    times = []
    for _ in range(count):
        begin = time.perf_counter()
        connection.request("POST", path, BODY, {"Content-Type": "application/json"})
        answer = connection.getresponse()
        answer.read()
        times.append((time.perf_counter() - begin) * 1000)
        if answer.status != 200:
            raise RuntimeError(f"{path} answered {answer.status}")
    connection.close()
    return times


def create(api, name, **more):
    process = {"runtime": "python3", "source": HANDLER, "maxWorkers": WORKERS, **more}
    created = api.create_function(name, {"process": process})
    if created.status != 200:
        raise RuntimeError(f"cannot create {name}: {created.text()}")


def cold_bench(suite, port, count):
    """Calls of functions that have no worker: it starts for them."""
    api = Api(suite.http)
    executor = "up" if suite.shape == "up" else "function-executor"
    workers = lambda: suite.metric(executor, "penstock_executor_process_workers")
    others = workers()
    for number in range(count):
        create(api, f"cold-{number}", idleTimeout="0.001s")
    for number in range(count):
        ready = lambda: api.get("functions", f"cold-{number}").json()["state"] == "READY"
        wait_until(ready, 30, f"cold-{number} was started once")
    times = []
    for number in range(count):
        wait_until(lambda: workers() == others, 30, "no worker is left")
        times += timed_calls(port, path_of(f"cold-{number}"), 1)
    return {
        "calls": count,
        "p50_ms": round(statistics.median(times), 1),
        "max_ms": round(max(times), 1),
        "target_ms": COLD_TARGET_MS,
    }


def warm_bench(port, count):
    """Turns of both, so that a change of the machine's speed meets both."""
    noop, process = [], []
    for _ in range(5):
        noop += timed_calls(port, path_of("nothing"), count // 5)
        process += timed_calls(port, path_of("warm"), count // 5)
    return {
        "calls": len(process),
        "noop_p50_ms": round(statistics.median(noop), 3),
        "process_p50_ms": round(statistics.median(process), 3),
        "overhead_p50_ms": round(statistics.median(process) - statistics.median(noop), 3),
        "target_ms": WARM_TARGET_MS,
    }


def rate_bench(port, seconds, turns):
    own = free_ports(1)[0]
    script = SERVER.format(handler=HANDLER)
    with subprocess.Popen(["/usr/bin/python3", "-c", script, str(own)]) as server:
        try:
            wait_until(lambda: answers(own), 10, "Python's HTTP server")
            runs = {"penstock": [], "http_server": []}
            for _ in range(turns):
                runs["http_server"].append(run_wrk(own, "/", seconds, CONNECTIONS, LUA))
                runs["penstock"].append(run_wrk(port, path_of("warm"), seconds, CONNECTIONS, LUA))
        finally:
            server.kill()
    rates = {name: statistics.median(r["per_second"] for r in of) for name, of in runs.items()}
    return {
        "connections": CONNECTIONS,
        "workers": WORKERS,
        "penstock_per_second": rates["penstock"],
        "http_server_per_second": rates["http_server"],
        "ratio": round(rates["penstock"] / rates["http_server"], 2),
        "target_ratio": 1.0,
        "failed": {name: sum(r["failed"] for r in of) for name, of in runs.items()},
    }


def answers(port):
    try:
        timed_calls(port, "/", 1)
        return True
    except OSError:
        return False


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--shape", choices=SHAPES, default="up")
    parser.add_argument("--cold", type=int, default=20, help="functions that are started")
    parser.add_argument("--calls", type=int, default=2000, help="warm calls, one after the other")
    parser.add_argument("--seconds", type=int, default=5, help="of each turn under load")
    parser.add_argument("--turns", type=int, default=3)
    options = parser.parse_args()
    suite = Suite(options.shape, log_level="warn").start()
    try:
        api = Api(suite.http)
        port = suite.ports["http"]
        create(api, "warm", minWorkers=WORKERS)
        api.create_function("nothing", {"noop": {}})
        timed_calls(port, path_of("warm"), 200)
        result = {
            "cold_start": cold_bench(suite, port, options.cold),
            "warm_call": warm_bench(port, options.calls),
            "warm_rate": rate_bench(port, options.seconds, options.turns),
        }
    finally:
        suite.close()
    write_result(result)


if __name__ == "__main__":
    main()
