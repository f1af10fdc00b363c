"""Functions that hang, crash, flood, talk nonsense or leave: the execution says so and nothing else suffers."""

import pathlib
import sys
import threading
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))

from penstock_test.api import Api
from penstock_test.function_server import Answer, FunctionServer
from penstock_test.suite import run_with_suite

# Name, runtime, source, further function fields, expected category, expected types.
PROCESS = [
    (
        "py-hang",
        "python3",
        "import time\ndef handle(ctx, p):\n    time.sleep(600)\n",
        {"timeout": "0.5s"},
        "FunctionError",
        {"Timeout"},
    ),
    (
        "py-spin",
        "python3",
        "def handle(ctx, p):\n    while True: pass\n",
        {"timeout": "0.5s"},
        "FunctionError",
        {"Timeout"},
    ),
    (
        "py-crash",
        "python3",
        "import os\ndef handle(ctx, p):\n    os.abort()\n",
        {},
        "FunctionError",
        {"Crashed"},
    ),
    (
        "py-exit",
        "python3",
        "import os\ndef handle(ctx, p):\n    os._exit(0)\n",
        {},
        "FunctionError",
        {"Crashed"},
    ),
    (
        "py-sysexit",
        "python3",
        "import sys\ndef handle(ctx, p):\n    sys.exit(3)\n",
        {},
        "FunctionError",
        {"Crashed", "SystemExit"},
    ),
    (
        "py-kill",
        "python3",
        "import os\ndef handle(ctx, p):\n    os.killpg(0, 9)\n",
        {},
        "FunctionError",
        {"Crashed"},
    ),
    (
        "py-memory",
        "python3",
        "def handle(ctx, p):\n    return len(bytearray(2 << 30))\n",
        {},
        "FunctionError",
        {"MemoryError", "Crashed"},
    ),
    (
        "py-flood",
        "python3",
        "def handle(ctx, p):\n    return 'x' * (8 << 20)\n",
        {},
        "FunctionError",
        {"OutputTooLarge"},
    ),
    (
        "py-syntax",
        "python3",
        "def handle(ctx, p)\n    return 1\n",
        {},
        "FunctionError",
        {"SyntaxError"},
    ),
    ("py-nohandler", "python3", "x = 1\n", {}, "FunctionError", {"LookupError"}),
    (
        "py-notjson",
        "python3",
        "def handle(ctx, p):\n    return object()\n",
        {},
        "FunctionError",
        {"Unserializable"},
    ),
    (
        "py-deep",
        "python3",
        "def handle(ctx, p):\n    return handle(ctx, p)\n",
        {},
        "FunctionError",
        {"RecursionError"},
    ),
    (
        "py-import",
        "python3",
        "import no_such_module\ndef handle(ctx, p):\n    return 1\n",
        {},
        "FunctionError",
        {"ModuleNotFoundError"},
    ),
    (
        "js-throw",
        "node",
        "exports.handle = () => { throw new TypeError('no'); };",
        {},
        "FunctionError",
        {"TypeError"},
    ),
    (
        "js-reject",
        "node",
        "exports.handle = () => Promise.reject(new RangeError('far'));",
        {},
        "FunctionError",
        {"RangeError"},
    ),
    (
        "js-never",
        "node",
        "exports.handle = () => new Promise(() => setInterval(() => {}, 1000));",
        {"timeout": "0.7s"},
        "FunctionError",
        {"Timeout"},
    ),
    (
        "js-exit",
        "node",
        "exports.handle = () => process.exit(1);",
        {},
        "FunctionError",
        {"Crashed"},
    ),
    (
        "js-later",
        "node",
        "exports.handle = () => new Promise(() => setTimeout(() => { throw new Error('late'); }, 10));",
        {"timeout": "5s"},
        "FunctionError",
        {"Crashed", "Error"},
    ),
    (
        "sh-garbage",
        "exec",
        "#!/bin/sh\nread line\necho this is not JSON\nread line\n",
        {},
        "FunctionError",
        {"InvalidAnswer"},
    ),
    ("sh-gone", "exec", "#!/bin/sh\nexit 7\n", {}, "FunctionError", {"Crashed", "StartFailed"}),
    (
        "sh-silent",
        "exec",
        "#!/bin/sh\nsleep 600\n",
        {"timeout": "0.5s"},
        "FunctionError",
        {"Timeout"},
    ),
    (
        "sh-noprogram",
        "exec",
        "#!/no/such/interpreter\n",
        {},
        "FunctionError",
        {"StartFailed", "Crashed"},
    ),
]

NOISY = """
import os, sys
def handle(ctx, p):
    for n in range(20000):
        print("line", n, "x" * 50)
        sys.stderr.write("more\\n")
    os.system("echo from a child")
    return "quiet"
"""

HTTP = [
    ("http-hang", Answer(misbehave="hang"), {"timeout": "0.5s"}, "SystemError", {"Timeout"}),
    ("http-close", Answer(misbehave="close"), {}, "SystemError", None),
    ("http-garbage", Answer(misbehave="garbage"), {}, "SystemError", None),
    ("http-cut", Answer(misbehave="cut"), {}, "SystemError", None),
    (
        "http-flood",
        Answer(200, b"x" * (3 << 20)),
        {},
        "SystemError",
        {"ResponseTooLarge", "OutputTooLarge"},
    ),
    (
        "http-redirect",
        Answer(302, headers={"Location": "http://169.254.169.254/"}),
        {},
        "FunctionError",
        {"HttpStatus"},
    ),
]


def ends_with(api, checks, name, category, types):
    started = time.monotonic()
    answer = api.invoke(name, {"a": 1}, timeout=30)
    took = time.monotonic() - started
    checks.that(f"{name}: is an error", answer.status in (400, 502, 503, 504), answer)
    got = answer.header("Penstock-Error")
    checks.equal(f"{name}: category", got, category)
    execution = answer.header("Penstock-Execution", "none/none").rsplit("/", 1)[1]
    record = api.get("executions", execution).json()
    error = record.get("error", {})
    checks.that(f"{name}: type", error.get("type") in types if types else error.get("type"), error)
    checks.that(f"{name}: the record has the message", error.get("message"), record)
    checks.that(f"{name}: in time", took < 15, f"{took:.1f} s")


def noisy(api, checks):
    api.create_python("noisy", NOISY)
    answer = api.invoke("noisy", {}, timeout=30)
    checks.equal("a noisy function still answers", answer.json(), "quiet")
    record = api.get(
        "executions", answer.header("Penstock-Execution", "/").rsplit("/", 1)[1]
    ).json()
    logs = record.get("logs", {})
    checks.equal("its log is cut, which is said", logs.get("truncated"), True)
    size = sum(len(line) for line in logs.get("stdout", []) + logs.get("stderr", []))
    checks.that("to its limit", 0 < size <= 64 << 10, size)


def many_at_once(api, checks):
    """A crowd on a function that allows one call at a time: each gets an answer, none hangs."""
    source = "import time\ndef handle(ctx, p):\n    time.sleep(0.01)\n    return p\n"
    api.create_python("narrow", source, maxConcurrency=1)
    statuses = []

    def call(number):
        statuses.append(api.invoke("narrow", {"n": number}, timeout=60).status)

    threads = [threading.Thread(target=call, args=(number,)) for number in range(64)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(90)
    checks.equal("64 calls at once: all are answered", len(statuses), 64)
    checks.that("with a result or with 429", set(statuses) <= {200, 429}, sorted(set(statuses)))
    checks.that("some with a result", 200 in statuses, statuses)


def no_workers_left(suite, checks):
    """What was killed is gone: no stray worker keeps running."""

    def strays():
        found = []
        for entry in pathlib.Path("/proc").iterdir():
            try:
                command = (entry / "cmdline").read_bytes() if entry.name.isdigit() else b""
                if str(suite.folder).encode() in (command + bytes((entry / "cwd").resolve())):
                    if b"sleep\x00600" in command:
                        found.append(entry.name)
            except OSError:
                continue
        return found

    checks.eventually("no killed worker is left", lambda: not strays(), 5)


def events_are_unharmed(api, server, checks):
    """Deliveries to broken functions and to a good one at the same time."""
    api.create_http("good", f"{server.url}/good")
    api.subscribe("good", "mixed.*", "good")
    policy = {"maxAttempts": 1}
    for name in ("py-crash", "py-hang", "js-exit", "http-close"):
        api.subscribe(f"bad-{name}", "mixed.*", name, retry=policy)
    for number in range(10):
        api.publish("mixed.one", {}, f"mi-{number}")
    checks.eventually("the good function gets all", lambda: len(set(server.ids("/good"))) == 10, 10)
    checks.eventually(
        "each failed delivery is a dead letter", lambda: len(api.dead_letters()) == 40, 40
    )


def test(suite, checks):
    server = FunctionServer()
    api = Api(suite.http)
    with checks.section("processes"):
        for name, runtime, source, more, category, types in PROCESS:
            made = api.create_function(
                name, {"process": {"runtime": runtime, "source": source}, **more}
            )
            if checks.status(f"{name}: created", made, 200):
                ends_with(api, checks, name, category, types)
    with checks.section("HTTP"):
        for name, answer, more, category, types in HTTP:
            server.plan(f"/{name}", answer)
            api.create_http(name, f"{server.url}/{name}", **more)
            ends_with(api, checks, name, category, types)
        api.create_http("denied", "http://169.254.169.254/latest/meta-data")
        ends_with(api, checks, "denied", "SystemError", {"EgressDenied"})
        told = api.invoke("denied", {}).text()
        checks.contains("a refused address names the key to set", told, "egress.allow")
        own = suite.ports["admin"]
        if suite.shape == "up":
            api.create_http("own", f"http://127.0.0.1:{own}/metrics")
            ends_with(api, checks, "own", "SystemError", {"EgressDenied"})
    with checks.section("noise"):
        noisy(api, checks)
    with checks.section("crowds"):
        many_at_once(api, checks)
    with checks.section("events"):
        events_are_unharmed(api, server, checks)
    with checks.section("what is left"):
        no_workers_left(suite, checks)
        checks.that("every program still runs", all(p.running() for p in suite.processes.values()))
        api.create_function("last", {"noop": {}})
        checks.equal("and answers", api.invoke("last", {"still": "here"}).json(), {"still": "here"})
    server.close()


if __name__ == "__main__":
    run_with_suite(test)
