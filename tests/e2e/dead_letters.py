"""Dead letters beyond the first redrive: lists by condition, edits, redrives by filter and at a rate, purges, sinks."""

import pathlib
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))

from penstock_test.api import Api, violated_fields
from penstock_test.function_server import Answer, FunctionServer, json_answer
from penstock_test.suite import run_with_suite

ONCE = {"maxAttempts": 1}


def fail(api, server, checks, name, events, answer=None, **more):
    """A subscription whose `events` (id and type) are all dead letters; gives the letters by event id."""
    server.plan(f"/{name}", answer or Answer(500, b"it is broken"))
    api.create_http(name, f"{server.url}/{name}")
    made = api.subscribe(name, f"{name}.*", name, retry=ONCE, **more)
    checks.status(f"{name} subscribes", made, 200)
    for event_id, event_type in events:
        api.publish(event_type, {"id": event_id}, event_id)

    def letters():
        found = {one["event"]["id"]: one for one in api.dead_letters(subscription=name)}
        return found if len(found) == len(events) else None

    return checks.eventually(f"all of {name} become dead letters", letters) or {}


def patch(api, letter, event, etag=None):
    body = {"event": event, **({"etag": etag} if etag else {})}
    path = f"{api.root}/deadLetters/{letter['name'].rsplit('/', 1)[1]}?updateMask=event"
    return api.http.patch(path, body)


def lists(api, server, checks):
    fail(api, server, checks, "list", [(f"li-{n}", f"list.{'ab'[n % 2]}") for n in range(6)])
    by_type = api.dead_letters(subscription="list", eventType="list.a")
    checks.equal("by type", sorted(one["event"]["id"] for one in by_type), ["li-0", "li-2", "li-4"])
    by_error = api.dead_letters(subscription="list", errorContains="500")
    checks.equal("by the text of the error", len(by_error), 6)
    checks.equal("no other text", api.dead_letters(subscription="list", errorContains="404"), [])
    by_reason = api.dead_letters(subscription="list", reason="ATTEMPTS_EXHAUSTED")
    checks.equal("by reason", len(by_reason), 6)
    checks.equal("no other reason", api.dead_letters(subscription="list", reason="EXPIRED"), [])
    middle = sorted(one["createTime"] for one in by_reason)[3]
    before = api.dead_letters(subscription="list", toTime=middle)
    after = api.dead_letters(subscription="list", fromTime=middle)
    checks.equal("by time, every one once", len(before) + len(after), 6)
    seen, token = [], ""
    for _ in range(10):
        page = api.get("deadLetters", subscription="list", pageSize=4, pageToken=token).json()
        seen += page.get("deadLetters", [])
        token = page.get("nextPageToken", "")
        if not token:
            break
    ids = sorted(one["event"]["id"] for one in seen)
    checks.equal("in pages, every one once", ids, [f"li-{n}" for n in range(6)])
    times = [one["createTime"] for one in seen]
    checks.equal("oldest first", times, sorted(times))
    other = api.get("deadLetters", subscription="list", reason="EXPIRED", pageToken="00")
    checks.equal("a token of nothing is refused", violated_fields(other), ["pageToken"])
    unknown = api.get("deadLetters", reason="BOREDOM")
    checks.status("an unknown reason is refused", unknown, 400)
    turned = api.get("deadLetters", fromTime="2026-01-02T00:00:00Z", toTime="2026-01-01T00:00:00Z")
    checks.equal("a range that ends before it begins, too", violated_fields(turned), ["toTime"])


def edit(api, server, checks):
    letters = fail(api, server, checks, "edit", [("ed-1", "edit.one")])
    letter = letters.get("ed-1")
    if not letter:
        return
    event = {**letter["event"], "data": {"repaired": True}}
    for title, broken, field in (
        ("without a source", {**event, "source": ""}, "event.source"),
        ("with a reserved type", {**event, "type": "penstock.mine"}, "deadLetter.event.type"),
    ):
        refused = patch(api, letter, broken)
        checks.status(f"an event {title} is refused", refused, 400)
        checks.equal(f"{title}: the field is named", violated_fields(refused), [field])
    stale = patch(api, letter, event, etag="stale")
    checks.status("a stale etag is refused", stale, 409)
    edited = patch(api, letter, event, etag=letter["etag"])
    checks.status("an edit is taken", edited, 200)
    now = edited.json()
    checks.equal("it says of which event", now["event"].get("editedfrom"), "ed-1")
    checks.that("it is a new event", now["event"]["id"] not in ("", "ed-1"), now["event"])
    checks.equal("the old one is kept", now["originalEvent"]["id"], "ed-1")
    checks.that("the etag has changed", now["etag"] != letter["etag"])
    checks.status("the old etag is stale", patch(api, letter, event, etag=letter["etag"]), 409)
    other_field = api.http.patch(
        f"{api.root}/deadLetters/{letter['name'].rsplit('/', 1)[1]}?updateMask=reason",
        {"reason": "EXPIRED"},
    )
    checks.equal("nothing else can change", violated_fields(other_field), ["updateMask"])
    server.plan("/edit", json_answer({}))
    server.forget()
    api.redrive(names=[letter["name"]])
    checks.eventually("the edited event arrives", lambda: len(server.calls("/edit")) == 1)
    call = server.calls("/edit")[0]
    checks.equal("with its new data", call.json(), {"repaired": True})
    checks.equal("and where it is from", call.headers.get("ce-editedfrom"), "ed-1")
    checks.equal(
        "under the same delivery id", call.delivery_id, letter["name"].rsplit("/", 1)[1]
    )
    gone = patch(api, letter, event)
    checks.eventually("then there is nothing to edit", lambda: api.dead_letters(subscription="edit") == [])
    checks.that("while it was redriven either", gone.status in (200, 404), gone)


def by_filter(api, server, checks):
    fail(api, server, checks, "pick", [(f"pi-{n}", f"pick.{'ab'[n % 2]}") for n in range(20)])
    server.plan("/pick", json_answer({}))
    server.forget()
    for what, field in (
        ({}, "names"),
        ({"names": ["x-1"], "reason": "EXPIRED"}, "names"),
        ({"subscription": "pick", "all": True}, "all"),
        ({"subscription": "pick", "ratePerSecond": -1}, "ratePerSecond"),
        ({"subscription": "pick", "eventType": "a*b*c*d*e"}, "eventType"),
    ):
        refused = api.redrive(**what)
        checks.equal(f"a redrive of {what} is refused", violated_fields(refused), [field])
    none = api.redrive(subscription="pick", reason="EXPIRED")
    checks.equal("a condition that nothing meets", int(none.json().get("redrivenCount", 0)), 0)
    some = api.redrive(subscription="pick", eventType="pick.a", errorContains="500")
    checks.equal("those that meet all are counted", int(some.json().get("redrivenCount", 0)), 10)
    expected = sorted(f"pi-{n}" for n in range(0, 20, 2))
    checks.eventually("and arrive", lambda: sorted(server.ids("/pick")) == expected)
    checks.eventually("the others stay", lambda: len(api.dead_letters(subscription="pick")) == 10)
    started = time.monotonic()
    slow = api.redrive(subscription="pick", ratePerSecond=10)
    checks.equal("the rest at a rate", int(slow.json().get("redrivenCount", 0)), 10)
    checks.that("is answered at once", time.monotonic() - started < 0.7, time.monotonic() - started)
    checks.eventually("arrives in time", lambda: len(server.ids("/pick")) == 20)
    took = time.monotonic() - started
    checks.that("one after the other", took > 0.7, f"{took:.2f} s")
    purged = api.purge(subscription="pick", reason="ATTEMPTS_EXHAUSTED")
    checks.equal("nothing is left to purge", int(purged.json().get("purgedCount", 0)), 0)


def purge_by_filter(api, server, checks):
    fail(api, server, checks, "purge", [(f"pu-{n}", f"purge.{'ab'[n % 2]}") for n in range(6)])
    purged = api.purge(subscription="purge", eventType="purge.b")
    checks.equal("a purge by type", int(purged.json().get("purgedCount", 0)), 3)
    left = sorted(one["event"]["id"] for one in api.dead_letters(subscription="purge"))
    checks.equal("leaves the others", left, ["pu-0", "pu-2", "pu-4"])
    status = api.http.get(f"{api.root}/subscriptions/purge:status").json()
    checks.equal("the status counts them", int(status.get("deadLetters", 0)), 3)


def sinks(api, server, checks):
    """A sink gets the event with what went wrong; nothing is kept."""
    api.create_http("sink", f"{server.url}/sink")
    server.plan("/lost", Answer(422, b"never"))
    api.create_http("lost", f"{server.url}/lost")
    made = api.subscribe("lost", "lost.*", "lost", retry=ONCE, deadLetterSink={"function": "sink"})
    checks.status("a function can be the sink", made, 200)
    api.publish("lost.one", {"n": 1}, "lo-1")
    checks.eventually("it gets the event", lambda: server.ids("/sink") == ["lo-1"])
    call = server.calls("/sink")[0]
    checks.equal("with the reason", call.headers.get("ce-deadletterreason"), "PERMANENT_FAILURE")
    checks.equal("the attempts", call.headers.get("ce-deadletterattempts"), "1")
    checks.that("and the delivery", call.headers.get("ce-deadletterof"), call.headers)
    checks.equal("nothing is kept", api.dead_letters(subscription="lost"), [])
    checks.status("the sink is in use", api.delete("functions", "sink"), 400)

    server.plan("/typed", Answer(422, b"never"))
    api.create_http("typed", f"{server.url}/typed")
    api.subscribe("typed", "typed.*", "typed", retry=ONCE, deadLetterSink={"eventType": "rest.typed"})
    api.subscribe("rest", "rest.*", "sink")
    server.forget()
    api.publish("typed.one", {"n": 1}, "ty-1")
    checks.eventually("an event type too", lambda: len(server.calls("/sink")) == 1)
    call = server.calls("/sink")[0]
    checks.equal("published again", call.headers.get("ce-type"), "rest.typed")
    checks.equal("from the space's dead letters", call.headers.get("ce-source"), "/spaces/default/deadLetters")

    def explained():
        answer = api.http.get("/events/ty-1:explain").json()
        states = {one["subscription"].rsplit("/", 1)[1]: one.get("deliveryState") for one in answer["subscriptions"]}
        return states.get("typed") == "DEAD_LETTER"

    checks.eventually("which explain knows", explained)
    for what, field in (
        ({"function": "nobody"}, "deadLetterSink.function"),
        ({"function": "sink", "eventType": "x"}, "deadLetterSink"),
    ):
        refused = api.subscribe("bad", "bad.*", "sink", deadLetterSink=what)
        checks.that(
            f"a sink {what} is refused",
            refused.status == 400 and violated_fields(refused)[0].startswith(field),
            refused,
        )


def test(suite, checks):
    server = FunctionServer()
    api = Api(suite.http)
    for part in (lists, edit, by_filter, purge_by_filter, sinks):
        with checks.section(part.__name__.replace("_", " ")):
            part(api, server, checks)
    server.close()


if __name__ == "__main__":
    run_with_suite(test)
