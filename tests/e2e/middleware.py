"""Middleware of functions and spaces: what callers get, and what records show."""

import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))

from penstock_test.api import Api
from penstock_test.process import free_ports
from penstock_test.suite import run_with_suite

COUNTER = """
import itertools
numbers = itertools.count(1)
def handle(ctx, payload):
    return {"run": next(numbers), "given": payload}
"""


def make(api, name, steps, **spec):
    spec = spec or {
        "process": {"runtime": "python3", "source": COUNTER, "maxWorkers": 1},
    }
    return api.create_function(name, {**spec, "middleware": steps})


def last_steps(api, function):
    record = api.executions(function=function, pageSize=1)[0]
    return [
        f"{'space ' if step.get('space') else ''}{step['name']} {step['phase']} {step['effect']}"
        for step in record.get("steps", [])
    ]


def checked(api, checks):
    wrong = make(api, "wrong", [{"log": {}}, {"retry": {"maxAttempts": 99}}])
    checks.status("a step that is wrong is refused", wrong, 400)
    checks.contains("and named", wrong.text(), "function.middleware[1].retry.max_attempts")
    checks.status("as is one without a kind", make(api, "wrong", [{}]), 400)


def limited(api, checks):
    make(api, "limited", [{"rateLimit": {"rate": 0.01, "burst": 2}}], noop={})
    answers = [api.invoke("limited", 1) for _ in range(3)]
    checks.equal("a rate with a burst", [answer.status for answer in answers], [200, 200, 429])
    wait = int(answers[2].header("Retry-After") or 0)
    checks.that("Retry-After says when", 50 <= wait <= 101, str(wait))
    checks.contains("and the body why", answers[2].text(), "RateLimited")
    checks.equal("its record", last_steps(api, "limited"), ["rate_limit BEFORE refused"])


def broken(api, checks):
    (port,) = free_ports(1)
    steps = [
        {"breaker": {"failures": 1, "openFor": "3600s"}},
        {"retry": {"maxAttempts": 3, "initialBackoff": "0.001s"}},
    ]
    make(api, "broken", steps, http={"url": f"http://127.0.0.1:{port}/"})
    checks.status("nobody answers", api.invoke("broken", 1), 503)
    checks.equal(
        "it was tried three times, and the breaker opened",
        last_steps(api, "broken"),
        ["breaker BEFORE passed", "retry BEFORE passed", "retry AFTER retried 2", "breaker AFTER opened"],
    )
    refused = api.invoke("broken", 1)
    checks.status("so the next is not tried", refused, 503)
    checks.contains("saying why", refused.text(), "CircuitOpen")
    checks.that("and for how long", refused.header("Retry-After") is not None)


def cached(api, checks):
    make(api, "cached", [{"cache": {"keyPointers": ["/id"]}}])
    first = api.invoke("cached", {"id": 1, "at": 1}).json()
    second = api.invoke("cached", {"id": 1, "at": 2}).json()
    checks.equal("an equal call has the same answer", second, first)
    checks.equal("its record", last_steps(api, "cached"), ["cache BEFORE answered"])
    checks.equal("another runs", api.invoke("cached", {"id": 2}).json()["run"], 2)


def idempotent(api, checks):
    make(api, "once", [{"idempotency": {"ttl": "60s"}}])

    def call(key, body):
        return api.http.post(
            f"{api.root}/functions/once:invoke",
            body,
            headers={"Idempotency-Key": key, "Content-Type": "application/json"},
        )

    first = call('"a"', "1")
    checks.status("a call with a key", first, 200)
    checks.equal("runs once", call('"a"', "1").json(), first.json())
    checks.equal("another key runs again", call('"b"', "1").json()["run"], 2)
    other = call('"a"', "2")
    checks.status("another payload under the key is refused", other, 400)
    checks.contains("saying so", other.text(), "IdempotencyMismatch")


def redacted(api, checks):
    make(api, "quiet", [{"log": {"redact": ["/card"]}}], noop={})
    answer = api.invoke("quiet", {"card": "4111-1111", "n": 1})
    checks.equal("the caller gets all", answer.json()["card"], "4111-1111")
    record = api.executions(function="quiet")[0]
    checks.equal("the record does not", record["input"]["json"], {"card": "[redacted]", "n": 1})
    checks.that("nowhere", "4111" not in str(record))


def of_space(suite, api, checks):
    path = f"{api.root}/middleware"
    empty = api.http.get(path)
    checks.status("a space has middleware from the start", empty, 200)
    etag = empty.json()["etag"]
    steps = [{"timeout": {"timeout": "5s"}}]
    body = {"etag": etag, "middleware": steps}
    make(api, "inner", [{"log": {}}], noop={})
    checks.status("which can be set", api.http.patch(path, body), 200)
    checks.status("by whoever saw it last", api.http.patch(path, body), 409)
    wrong = api.http.patch(path, {"middleware": [{"timeout": {}}]})
    checks.status("if it is right", wrong, 400)
    checks.contains("saying what is not", wrong.text(), "middleware[0].timeout.timeout")
    api.invoke("inner", 1)
    checks.equal(
        "the next call passes it, around the function's",
        last_steps(api, "inner"),
        ["space timeout BEFORE passed", "log BEFORE passed", "space timeout AFTER passed"],
    )
    shown = suite.cli("middleware", "get")
    checks.contains("penstock middleware get", shown.stdout, 'timeout: "5s"')
    done = suite.cli("middleware", "set", "-", stdin="[]")
    checks.equal("penstock middleware set", done.returncode, 0)
    checks.contains("tells", done.stdout, "0 steps")

    def is_gone():
        api.invoke("inner", 1)
        return last_steps(api, "inner") == ["log BEFORE passed"]

    # HTTP calls do not know what the command line changed: it is there a moment later.
    checks.eventually("and it is gone", is_gone)
    made = suite.cli("function", "create", "bycli", "--noop", "--middleware", "-", stdin='[{"log": {}}]')
    checks.equal("penstock function create --middleware", made.returncode, 0)
    checks.equal("keeps it", api.get("functions", "bycli").json()["middleware"], [{"log": {}}])


def delivered(api, checks):
    steps = [{"retry": {}}, {"breaker": {}}, {"cache": {}}, {"idempotency": {}}]
    make(api, "event", steps, noop={})
    api.subscribe("event", "mw.event", "event")
    api.publish("mw.event", {}, event_id="delivered")
    checks.eventually("an event is delivered", lambda: api.executions(eventId="delivered"))
    kinds = ("retry", "breaker", "cache", "idempotency")
    skipped = [f"{kind} BEFORE skipped" for kind in kinds]
    checks.eventually("what is for calls skips it", lambda: last_steps(api, "event") == skipped)


def main(suite, checks):
    api = Api(suite.http)
    checked(api, checks)
    limited(api, checks)
    broken(api, checks)
    cached(api, checks)
    idempotent(api, checks)
    redacted(api, checks)
    of_space(suite, api, checks)
    delivered(api, checks)


if __name__ == "__main__":
    run_with_suite(main)
