"""Failing deliveries: tried again by policy, then dead letters that can be listed, redriven and purged."""

import pathlib
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))

from penstock_test.api import Api
from penstock_test.function_server import Answer, FunctionServer, json_answer
from penstock_test.suite import run_with_suite

FAST = {"maxAttempts": 3, "initialDelay": "0.05s", "maxDelay": "0.1s", "jitter": -1}


def subscribe(api, server, name, retry, **more):
    """A function at /<name> with a subscription of <name>.*."""
    api.create_http(name, f"{server.url}/{name}", **more)
    return api.subscribe(name, f"{name}.*", name, retry=retry)


def fails_then_succeeds(api, server, checks):
    server.plan("/flaky", Answer(500), Answer(503), json_answer({"ok": True}))
    checks.status(
        "the policy is taken", subscribe(api, server, "flaky", {**FAST, "maxAttempts": 5}), 200
    )
    api.publish("flaky.one", {"n": 1}, event_id="fl-1")
    checks.eventually("it is tried until it succeeds", lambda: len(server.calls("/flaky")) == 3)
    calls = server.calls("/flaky")
    checks.equal("attempts count from 1", [call.attempt for call in calls], [1, 2, 3])
    checks.equal("under one delivery id", len({call.delivery_id for call in calls}), 1)

    def records():
        found = api.executions(eventId="fl-1")
        return found if len(found) == 3 and found[0].get("state") == "SUCCEEDED" else None

    found = checks.eventually("each attempt has its record", records)
    if found:
        checks.equal("newest first", [run["attempt"] for run in found], [3, 2, 1])
        checks.equal("failures with their error", found[-1]["error"]["type"], "HttpStatus")
    checks.equal("there is no dead letter", api.dead_letters(subscription="flaky"), [])


def exhausted_and_redriven(api, server, checks):
    server.plan("/dead", Answer(500, b"it is broken"))
    subscribe(api, server, "dead", FAST)
    for number in range(3):
        api.publish("dead.one", {"n": number}, event_id=f"de-{number}")
    letters = checks.eventually(
        "after the last attempt they are dead letters",
        lambda: (lambda found: found if len(found) == 3 else None)(
            api.dead_letters(subscription="dead")
        ),
    )
    if not letters:
        return
    letter = letters[0]
    checks.equal("with the reason", letter["reason"], "ATTEMPTS_EXHAUSTED")
    checks.equal("the attempts", letter["attempts"], 3)
    checks.equal("the last error", letter["lastError"]["type"], "HttpStatus")
    checks.contains("the function's words", letter["lastError"]["message"], "500")
    checks.equal("the log of attempts", [one["attempt"] for one in letter["attemptLog"]], [1, 2, 3])
    checks.equal("the status of each", {one["httpStatus"] for one in letter["attemptLog"]}, {500})
    checks.equal("the event itself", letter["event"]["data"], {"n": int(letter["event"]["id"][3:])})
    one = api.get("deadLetters", letter["name"].rsplit("/", 1)[1])
    checks.equal("one can be read", one.json().get("name"), letter["name"])
    by_event = api.dead_letters(eventId="de-1")
    checks.equal("or found by its event", [found["event"]["id"] for found in by_event], ["de-1"])
    page = api.get("deadLetters", pageSize=2).json()
    checks.equal("lists have pages", len(page["deadLetters"]), 2)

    before = {call.event_id: call.delivery_id for call in server.calls("/dead")}
    server.plan("/dead", json_answer({"repaired": True}))
    server.forget()
    redriven = api.redrive(names=[letter["name"]])
    checks.status("one is redriven", redriven, 200)
    checks.equal("and counted", int(redriven.json()["redrivenCount"]), 1)
    first = letter["event"]["id"]
    checks.eventually("it arrives", lambda: server.ids("/dead") == [first])
    again = server.calls("/dead")[0]
    checks.equal("under the same delivery id", again.delivery_id, before[first])
    checks.eventually(
        "it is no dead letter", lambda: len(api.dead_letters(subscription="dead")) == 2
    )
    redriven = api.redrive(subscription="dead")
    checks.equal("the rest is redriven", int(redriven.json().get("redrivenCount", 0)), 2)
    checks.eventually(
        "and arrives", lambda: sorted(server.ids("/dead")) == ["de-0", "de-1", "de-2"]
    )
    checks.eventually("none is left", lambda: api.dead_letters(subscription="dead") == [])


def redrive_of_what_still_fails(api, server, checks):
    server.plan("/still", Answer(500))
    subscribe(api, server, "still", {**FAST, "maxAttempts": 1})
    api.publish("still.one", {}, event_id="st-1")
    checks.eventually(
        "one attempt, one dead letter", lambda: len(api.dead_letters(subscription="still")) == 1
    )
    checks.equal("one call", len(server.calls("/still")), 1)
    api.redrive(subscription="still")
    checks.eventually("it is called again", lambda: len(server.calls("/still")) == 2)
    letters = checks.eventually(
        "and is a dead letter again",
        lambda: [
            one for one in api.dead_letters(subscription="still") if one.get("redriveCount") == 1
        ],
    )
    checks.that("which counts its redrives", letters)
    purged = api.purge(subscription="still")
    checks.equal("it can be purged", int(purged.json().get("purgedCount", 0)), 1)
    checks.equal("then it is gone", api.dead_letters(subscription="still"), [])


def permanent(api, server, checks):
    server.plan("/never", Answer(422, b"I do not want this"))
    subscribe(api, server, "never", FAST)
    api.publish("never.one", {}, event_id="ne-1")
    letters = checks.eventually(
        "an input error is final", lambda: api.dead_letters(subscription="never")
    )
    if letters:
        checks.equal("its reason", letters[0]["reason"], "PERMANENT_FAILURE")
        checks.equal("after one attempt", letters[0]["attempts"], 1)
    checks.equal("it was called once", len(server.calls("/never")), 1)


def retry_after(api, server, checks):
    times = []

    def answer(call):
        times.append(time.monotonic())
        return Answer(503, headers={"Retry-After": "1"}) if call.attempt == 1 else Answer(200)

    server.plan("/wait", answer)
    subscribe(api, server, "wait", FAST)
    api.publish("wait.one", {}, event_id="wa-1")
    checks.eventually("it is tried again", lambda: len(times) == 2)
    if len(times) == 2:
        gap = times[1] - times[0]
        checks.that("after what the function asked for", 0.95 <= gap < 5, f"{gap:.3f} s")


def unreachable_then_back(api, server, checks):
    """A function whose server comes up late gets what waited for it."""
    late = FunctionServer()
    url = late.url
    late.close()
    api.create_http("late", f"{url}/late")
    policy = {**FAST, "maxAttempts": 50, "maxDelay": "0.2s"}
    api.subscribe("late", "late.*", "late", retry=policy)
    for number in range(5):
        api.publish("late.one", {}, event_id=f"la-{number}")
    checks.eventually(
        "attempts fail while nobody listens",
        lambda: [
            run
            for run in api.executions(subscription="late")
            if run.get("error", {}).get("type") == "ConnectFailed"
        ],
    )
    api.update("functions", "late", {"http": {"url": f"{server.url}/late"}}, mask="http")
    checks.eventually(
        "all arrive once the function is repaired",
        lambda: sorted(server.ids("/late")) == [f"la-{number}" for number in range(5)],
    )
    checks.equal("none became a dead letter", api.dead_letters(subscription="late"), [])


def slow_does_not_slow_others(api, server, checks):
    """One subscription whose function hangs leaves the others alone."""
    server.plan("/stuck", Answer(misbehave="hang"))
    subscribe(api, server, "stuck", FAST, timeout="60s")
    subscribe(api, server, "quick", FAST)
    for number in range(100):
        api.publish("stuck.one", {}, event_id=f"sl-{number}")
    started = time.monotonic()
    for number in range(50):
        api.publish("quick.one", {}, event_id=f"qu-{number}")
    checks.eventually("the quick one gets its events", lambda: len(server.ids("/quick")) == 50, 10)
    checks.that("soon", time.monotonic() - started < 10, time.monotonic() - started)
    checks.that(
        "while the other hangs", len(server.calls("/stuck")) <= 64, len(server.calls("/stuck"))
    )
    deleted = api.delete("subscriptions", "stuck", force="true")
    checks.status("a stuck subscription can be deleted by force", deleted, 200)
    server.release()


def pending_delete(api, server, checks):
    server.plan("/pend", Answer(500))
    subscribe(
        api, server, "pend", {"maxAttempts": 10, "initialDelay": "3600s", "maxDelay": "3600s"}
    )
    api.publish("pend.one", {}, event_id="pe-1")
    checks.eventually("one waits for its retry", lambda: len(server.calls("/pend")) == 1)
    refused = {}

    def is_refused():
        refused["answer"] = api.delete("subscriptions", "pend")
        return refused["answer"].status == 400

    checks.eventually("a subscription with pending deliveries is kept", is_refused)
    checks.contains("unless by force, which the error says", refused["answer"].text(), "force")
    checks.status("by force it goes", api.delete("subscriptions", "pend", force="true"), 200)


def test(suite, checks):
    server = FunctionServer()
    api = Api(suite.http)
    for part in (
        fails_then_succeeds,
        exhausted_and_redriven,
        redrive_of_what_still_fails,
        permanent,
        retry_after,
        unreachable_then_back,
        slow_does_not_slow_others,
        pending_delete,
    ):
        with checks.section(part.__name__.replace("_", " ")):
            part(api, server, checks)
    server.close()


if __name__ == "__main__":
    run_with_suite(test)
