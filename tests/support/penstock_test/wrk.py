"""wrk with its result as numbers."""

import json
import os
import subprocess
import tempfile

DONE = """
function done(summary, latency, requests)
  io.write(string.format(
    'RESULT {"requests":%d,"duration_us":%d,"non_2xx":%d,"socket_errors":%d,"p50_us":%d,"p99_us":%d}\\n',
    summary.requests, summary.duration, summary.errors.status,
    summary.errors.connect + summary.errors.read + summary.errors.write + summary.errors.timeout,
    latency:percentile(50), latency:percentile(99)))
end
"""


def run_wrk(port, path, seconds, connections, script=""):
    """Requests a second, latencies and failures; `script` is Lua that makes the requests."""
    with tempfile.NamedTemporaryFile("w", suffix=".lua", encoding="utf-8") as file:
        file.write(script + DONE)
        file.flush()
        url = f"http://127.0.0.1:{port}{path}"
        command = ["wrk", "-t2", f"-c{connections}", f"-d{seconds}s", "-s", file.name, url]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
    line = next(line for line in done.stdout.splitlines() if line.startswith("RESULT "))
    result = json.loads(line[len("RESULT ") :])
    result["per_second"] = round(result["requests"] / (result["duration_us"] / 1e6))
    result["failed"] = result["non_2xx"] + result["socket_errors"]
    return result


def write_result(result):
    """To $PENSTOCK_RESULT, or printed alone."""
    target = os.environ.get("PENSTOCK_RESULT")
    if target:
        with open(target, "w", encoding="utf-8") as file:
            file.write(json.dumps(result, indent=2) + "\n")
    else:
        print(json.dumps(result))
