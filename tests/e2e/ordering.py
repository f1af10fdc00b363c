"""Order by key: one at a time, only the failing key waits, and what happens when its policy is used up."""

import pathlib
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))

from penstock_test.api import Api, violated_fields
from penstock_test.function_server import Answer, FunctionServer, json_answer
from penstock_test.suite import run_with_suite

FAST = {"maxAttempts": 3, "initialDelay": "0.05s", "maxDelay": "0.1s", "jitter": -1}


def publish(api, name, key, number):
    """Waits for the receipt, so that the log has the order of the calls."""
    api.publish(f"{name}.one", {"n": number}, f"{name}-{key}-{number}", partitionkey=key)


def order_of(server, name, key):
    """The events of a key in the order of their first calls."""
    seen = []
    for event_id in server.ids(f"/{name}"):
        if event_id.startswith(f"{name}-{key}-") and event_id not in seen:
            seen.append(event_id)
    return [int(event_id.rsplit("-", 1)[1]) for event_id in seen]


def subscribe(api, server, checks, name, **more):
    api.create_http(name, f"{server.url}/{name}")
    made = api.subscribe(name, f"{name}.*", name, retry=FAST, **more)
    checks.status(f"{name} subscribes in order", made, 200)
    return made


def in_order(api, server, checks):
    running, overlaps = {}, []

    def answer(call):
        key = call.headers.get("ce-partitionkey")
        if running.get(key):
            overlaps.append(call.event_id)
        running[key] = True
        time.sleep(0.01)
        running[key] = False
        failing = call.event_id.endswith("-3") and call.attempt < 3
        return Answer(500) if failing else json_answer({})

    server.plan("/keys", answer)
    made = subscribe(api, server, checks, "keys", ordering={})
    checks.equal("the key is the partition key", made.json()["ordering"]["by"], "partitionkey")
    for number in range(8):
        for key in "abcd":
            publish(api, "keys", key, number)
    checks.eventually(
        "every key gets its events", lambda: all(len(order_of(server, "keys", key)) == 8 for key in "abcd"), 30
    )
    for key in "abcd":
        checks.equal(f"{key} in order", order_of(server, "keys", key), list(range(8)))
    checks.equal("one of a key at a time", overlaps, [])


def only_the_failing_key_waits(api, server, checks):
    server.plan(
        "/block", lambda call: Answer(500) if call.event_id == "block-bad-0" else json_answer({})
    )
    subscribe(
        api,
        server,
        checks,
        "block",
        ordering={"by": "partitionkey", "onExhausted": "BLOCK"},
    )
    for number in range(5):
        publish(api, "block", "bad", number)
        publish(api, "block", "good", number)
    checks.eventually("others go on", lambda: order_of(server, "block", "good") == list(range(5)))
    checks.eventually("beyond its policy the key is tried", lambda: len(server.calls("/block")) >= 5 + 5)
    checks.equal("and nothing of it passes", order_of(server, "block", "bad"), [0])
    checks.equal("nothing is a dead letter", api.dead_letters(subscription="block"), [])

    def blocked():
        status = api.http.get(f"{api.root}/subscriptions/block:status").json()
        return status.get("blockedKeys") == ["bad"]

    checks.eventually("the status names the key", blocked)
    server.plan("/block", json_answer({}))
    checks.eventually("once it succeeds the rest comes", lambda: order_of(server, "block", "bad") == list(range(5)))


def continue_after_the_dead_letter(api, server, checks):
    server.plan("/go", lambda call: Answer(500) if call.event_id == "go-k-1" else json_answer({}))
    subscribe(api, server, checks, "go", ordering={"onExhausted": "CONTINUE"})
    for number in range(4):
        publish(api, "go", "k", number)
    checks.eventually("the next one follows", lambda: order_of(server, "go", "k") == [0, 1, 2, 3])

    def letters():
        return [one["event"]["id"] for one in api.dead_letters(subscription="go")]

    checks.eventually("after the dead letter", lambda: letters() == ["go-k-1"])


def the_whole_key_fails(api, server, checks):
    server.plan("/key", lambda call: Answer(500) if call.event_id == "key-k-0" else json_answer({}))
    subscribe(api, server, checks, "key", ordering={"onExhausted": "DEAD_LETTER_KEY"})
    for number in range(3):
        publish(api, "key", "k", number)
    publish(api, "key", "other", 0)

    def reasons():
        found = {one["event"]["id"]: one["reason"] for one in api.dead_letters(subscription="key")}
        return found if len(found) == 3 else None

    found = checks.eventually("all of the key are dead letters", reasons)
    if found:
        checks.equal("the first by its attempts", found["key-k-0"], "ATTEMPTS_EXHAUSTED")
        checks.equal("the others by the first", {found["key-k-1"], found["key-k-2"]}, {"KEY_FAILED"})
    checks.equal("another key goes on", order_of(server, "key", "other"), [0])
    publish(api, "key", "k", 3)
    checks.eventually("later ones follow", lambda: len(api.dead_letters(subscription="key")) == 4)
    server.plan("/key", json_answer({}))
    first = next(one for one in api.dead_letters(subscription="key") if one["event"]["id"] == "key-k-0")
    api.redrive(names=[first["name"]])
    checks.eventually("the first is redriven", lambda: len(api.dead_letters(subscription="key")) == 3)
    publish(api, "key", "k", 4)
    checks.eventually("then the key goes on", lambda: 4 in order_of(server, "key", "k"))


def over_a_crash(suite, api, server, checks):
    """After kill -9 a key may step back and repeat, then goes forward in order."""
    server.plan("/crash", lambda _: time.sleep(0.02) or json_answer({}))
    subscribe(api, server, checks, "crash", ordering={})
    for number in range(30):
        for key in "ab":
            publish(api, "crash", key, number)
    suite.kill()
    suite.start()
    checks.eventually(
        "everything arrives", lambda: all(len(order_of(server, "crash", key)) == 30 for key in "ab"), 40
    )
    for key in "ab":
        checks.equal(f"{key} first in order", order_of(server, "crash", key), list(range(30)))


def refused(api, checks):
    for what, field in (
        ({"ordering": {"by": "Bad Name"}}, "ordering.by"),
        ({"ordering": {"maxHeld": 2000000}}, "ordering.maxHeld"),
        ({"ordering": {}, "batching": {"maxEvents": 5}}, "batching"),
        ({"rateLimit": {"eventsPerSecond": -1}}, "rateLimit.eventsPerSecond"),
        ({"timeToLive": "0.1s"}, "timeToLive"),
    ):
        answer = api.subscribe("bad", "bad.*", "keys", **what)
        checks.status(f"{what} is refused", answer, 400)
        named = violated_fields(answer)
        checks.that(f"{what}: the field is named", any(one.startswith(field) for one in named), answer)
    unknown = api.subscribe("bad", "bad.*", "keys", ordering={"onExhausted": "PANIC"})
    checks.status("an unknown enum value is refused", unknown, 400)


def test(suite, checks):
    server = FunctionServer()
    api = Api(suite.http)
    for part in (
        in_order,
        only_the_failing_key_waits,
        continue_after_the_dead_letter,
        the_whole_key_fails,
    ):
        with checks.section(part.__name__.replace("_", " ")):
            part(api, server, checks)
    with checks.section("over a crash"):
        over_a_crash(suite, api, server, checks)
    with checks.section("refused"):
        refused(api, checks)
    server.close()


if __name__ == "__main__":
    run_with_suite(test)
