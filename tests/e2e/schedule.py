"""Events that are published later: deliverat, deliverafter, the schedule over a restart, and taking them back."""

import datetime
import json
import pathlib
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))

from penstock_test.api import Api, cloud_event, violated_fields
from penstock_test.function_server import FunctionServer
from penstock_test.suite import run_with_suite


def in_seconds(seconds):
    """RFC 3339, so many seconds from now."""
    due = datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(seconds=seconds)
    return due.isoformat().replace("+00:00", "Z")


def scheduled(api, **parameters):
    return api.get("scheduledEvents", **parameters).json().get("scheduledEvents", [])


def later(api, server, checks):
    """An event meets the subscriptions of the moment at which it is published."""
    published = time.time()
    receipt = api.publish("late.one", {"n": 1}, "la-1", deliverafter="2s")
    checks.status("a scheduled event is taken", receipt, 202)
    checks.equal("and says so", receipt.json().get("status"), "SCHEDULED")
    checks.that("with its time", receipt.json().get("dueTime"), receipt.text())
    checks.that("and no sequence", "sequence" not in receipt.json())
    checks.status("it is no event yet", api.http.get("/events/la-1"), 404)
    listed = scheduled(api, eventId="la-1")
    checks.equal("it is on the schedule", [one["event"]["id"] for one in listed], ["la-1"])
    # The subscription is younger than the event, and older than its publication.
    api.create_http("late", f"{server.url}/late")
    api.subscribe("late", "late.*", "late")
    checks.eventually("it arrives", lambda: server.ids("/late") == ["la-1"])
    waited = time.time() - published
    checks.that("not before its time", 1.9 <= waited < 8, f"{waited:.2f} s")
    checks.eventually("the schedule is empty", lambda: scheduled(api, eventId="la-1") == [])
    stored = api.http.get("/events/la-1").json()
    checks.that("it says when it was due", "deliverat" in stored.get("event", {}), stored)


def order(api, server, checks):
    api.create_http("order", f"{server.url}/order")
    api.subscribe("order", "order.*", "order", maxInFlight=1)
    start = 2.5
    for number in (3, 1, 2):
        api.publish("order.one", {}, f"or-{number}", deliverat=in_seconds(start + number * 0.2))
    api.publish("order.one", {}, "or-0")
    checks.eventually(
        "by their times", lambda: server.ids("/order") == ["or-0", "or-1", "or-2", "or-3"]
    )


def again(api, checks):
    first = api.publish("again.one", {}, "ag-1", deliverafter="1h").json()
    second = api.publish("again.one", {}, "ag-1", deliverafter="2h").json()
    checks.equal("the same event is scheduled once", second.get("status"), "DUPLICATE")
    checks.equal("at its first time", second.get("dueTime"), first.get("dueTime"))
    other = api.publish("again.one", {"other": True}, "ag-1", deliverafter="1h").json()
    checks.equal("other content is said", other.get("contentDiffers"), True)
    sequence = api.publish("again.one", {}, "ag-2").json()["sequence"]
    known = api.publish("again.one", {}, "ag-2", deliverafter="1h").json()
    checks.equal("what was published is known", known.get("status"), "DUPLICATE")
    checks.equal("by its sequence", known.get("sequence"), sequence)


def taking_back(api, checks):
    api.publish("back.one", {}, "ba-1", deliverafter="1h")
    name = scheduled(api, eventId="ba-1")[0]["name"]
    one = api.http.get(f"/api/v1/{name}")
    checks.equal("one can be read", one.json().get("event", {}).get("id"), "ba-1")
    taken = api.http.post(f"/api/v1/{name}:cancel", json_body={})
    checks.status("and taken back", taken, 200)
    checks.equal("which gives it", taken.json().get("event", {}).get("id"), "ba-1")
    checks.status("once", api.http.post(f"/api/v1/{name}:cancel", json_body={}), 404)
    receipt = api.publish("back.one", {}, "ba-1", deliverafter="1h")
    checks.equal("its id is free again", receipt.json().get("status"), "SCHEDULED")


def batch(api, checks):
    events = [
        cloud_event("mixed.one", {}, "mi-1"),
        cloud_event("mixed.one", {}, "mi-2", deliverafter="1h"),
        cloud_event("mixed.one", {}, "mi-3", deliverat="yesterday"),
    ]
    answer = api.publish_batch(events)
    checks.status("each event of a batch stands alone", answer, 207)
    receipts = json.loads(answer.text())
    checks.equal(
        "now, later, never",
        [one.get("status", "refused") for one in receipts],
        ["ACCEPTED", "SCHEDULED", "refused"],
    )
    listed = scheduled(api, pageSize=2)
    checks.equal("lists have pages", len(listed), 2)


def refusals(api, checks):
    wrong = {
        "deliverat": {"deliverat": "tomorrow"},
        "deliverafter": {"deliverafter": "PT5M"},
        "expirytime": {"deliverafter": "1h", "expirytime": in_seconds(60)},
    }
    for field, attributes in wrong.items():
        refused = api.publish("wrong.one", {}, **attributes)
        checks.status(f"{field} is refused", refused, 400)
        checks.equal("by its name", violated_fields(refused), [field])
    both = api.publish("wrong.one", {}, deliverat=in_seconds(60), deliverafter="1m")
    checks.equal("both together are refused", violated_fields(both), ["deliverafter"])
    far = api.publish("wrong.one", {}, deliverat=in_seconds(366 * 86_400))
    checks.equal("more than a year is refused", violated_fields(far), ["deliverat"])
    past = api.publish("wrong.one", {}, "wr-past", deliverat="2001-01-01T00:00:00Z")
    checks.equal("a past time is now", past.json().get("status"), "ACCEPTED")


def over_kill(suite, api, server, checks):
    """Scheduled before a kill -9, due while everything is down: published once after the start."""
    api.create_http("kill", f"{server.url}/kill")
    api.subscribe("kill", "kill.*", "kill")
    for number in range(20):
        receipt = api.publish("kill.one", {}, f"ki-{number}", deliverafter="1s")
        checks.that(f"event {number} is scheduled", receipt.status == 202, receipt)
    suite.kill()
    time.sleep(1.2)  # So that they are due while nothing runs.
    suite.start()
    expected = {f"ki-{number}" for number in range(20)}
    checks.eventually("all are published", lambda: set(server.ids("/kill")) == expected, 30)
    stored = api.http.get("/events?type=kill.one&pageSize=100").json()["events"]
    checks.equal("once each", len(stored), 20)
    checks.eventually("none is scheduled any more", lambda: not scheduled(api, eventId="ki-3"))


def test(suite, checks):
    server = FunctionServer()
    api = Api(suite.http)
    for part in (later, order):
        with checks.section(part.__name__):
            part(api, server, checks)
    for part in (again, taking_back, batch, refusals):
        with checks.section(part.__name__.replace("_", " ")):
            part(api, checks)
    with checks.section("over a kill"):
        over_kill(suite, api, server, checks)
    suite.wait_connected()
    count = suite.metric(
        "event-broker" if suite.shape == "services" else "up", "penstock_broker_scheduled_events"
    )
    # ag-1, ba-1 and mi-2 are due in an hour.
    checks.equal("the gauge counts what is left", count, 3)
    server.close()


if __name__ == "__main__":
    run_with_suite(test)
