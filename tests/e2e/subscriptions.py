"""The life of a subscription: changes, pause and resume, status, deletion and creation under the same name."""

import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))

from penstock_test.api import Api
from penstock_test.function_server import FunctionServer
from penstock_test.suite import run_with_suite


def status(api, name):
    return api.http.get(f"{api.root}/subscriptions/{name}:status").json()


def post(api, name, verb):
    return api.http.post(f"{api.root}/subscriptions/{name}:{verb}", json_body={})


def pause(api, server, checks):
    """Nothing new is sent while it is paused; afterwards everything is."""
    api.create_http("pause", f"{server.url}/pause")
    api.subscribe("pause", "pause.*", "pause")
    api.publish("pause.one", {}, "pa-before")
    checks.eventually("events flow", lambda: server.ids("/pause") == ["pa-before"])
    paused = post(api, "pause", "pause")
    checks.status("it can be paused", paused, 200)
    checks.equal("and says so", paused.json().get("state"), "PAUSED")
    api.create_http("mark", f"{server.url}/mark")
    api.subscribe("mark", "pause.*", "mark")
    expected = [f"pa-{number}" for number in range(20)]
    for event_id in expected:
        api.publish("pause.one", {}, event_id)
    checks.eventually(
        "another subscription goes on", lambda: set(server.ids("/mark")) == set(expected)
    )
    checks.equal("the paused one gets nothing", server.ids("/pause"), ["pa-before"])
    resumed = post(api, "pause", "resume")
    checks.equal("it can be resumed", resumed.json().get("state"), "ACTIVE")
    checks.eventually(
        "then it gets what it missed", lambda: set(server.ids("/pause")) == {"pa-before", *expected}
    )
    checks.equal("once", len(server.ids("/pause")), 21)


def paused_over_restart(suite, api, server, checks):
    post(api, "pause", "pause")
    suite.kill()
    suite.start()
    checks.equal(
        "a pause survives a restart", api.get("subscriptions", "pause").json()["state"], "PAUSED"
    )
    api.publish("pause.one", {}, "pa-late")
    checks.eventually("others get their events", lambda: "pa-late" in server.ids("/mark"))
    checks.that("the paused one does not", "pa-late" not in server.ids("/pause"))
    post(api, "pause", "resume")
    checks.eventually("until it is resumed", lambda: "pa-late" in server.ids("/pause"))


def change(api, server, checks):
    """A changed filter meets exactly the events published after the answer."""
    api.create_http("first", f"{server.url}/first")
    api.create_http("second", f"{server.url}/second")
    made = api.subscribe("change", "change.*", "first").json()
    api.publish("change.a", {}, "ch-1")
    etag = {"etag": made["etag"]}
    changed = api.update(
        "subscriptions", "change", {"eventType": "change.b", **etag}, mask="eventType"
    )
    checks.status("the pattern can be changed", changed, 200)
    checks.equal("it stays the same subscription", changed.json()["uid"], made["uid"])
    checks.that(
        "with a later effective sequence",
        int(changed.json()["effectiveSequence"]) > int(made["effectiveSequence"]),
        changed,
    )
    stale = api.update("subscriptions", "change", {"eventType": "x", **etag}, mask="eventType")
    checks.status("the old etag is stale", stale, 409)
    api.publish("change.a", {}, "ch-2")
    api.publish("change.b", {}, "ch-3")
    checks.eventually("only matching events arrive", lambda: "ch-3" in server.ids("/first"))
    moved = api.update("subscriptions", "change", {"function": "second"}, mask="function")
    checks.status("the function can be changed", moved, 200)
    api.publish("change.b", {}, "ch-4")
    checks.eventually("events go to the new one", lambda: server.ids("/second") == ["ch-4"])
    checks.equal("and not to the old one", sorted(server.ids("/first")), ["ch-1", "ch-3"])
    checks.status("which may be deleted now", api.delete("functions", "first"), 200)
    checks.status("the new one is in use", api.delete("functions", "second"), 400)


def many(api, server, checks):
    """Many subscriptions on one event, each with its own copy."""
    api.create_http("fan", f"{server.url}/fan")
    for number in range(100):
        made = api.subscribe(f"fan-{number}", "fan.out", "fan")
        if made.status != 200:
            checks.status(f"subscription {number}", made, 200)
    api.publish("fan.out", {"n": 1}, "fan-1")
    checks.eventually("each gets it", lambda: len(server.calls("/fan")) == 100)
    ids = {call.delivery_id for call in server.calls("/fan")}
    checks.equal("under its own delivery id", len(ids), 100)
    listed = api.get("subscriptions", function="fan", pageSize=1000).json()["subscriptions"]
    checks.equal("all are listed", len(listed), 100)
    in_use = api.delete("functions", "fan")
    checks.status("a function in use by many is kept", in_use, 400)


def recreate(api, server, checks):
    api.create_http("again", f"{server.url}/again")
    first = api.subscribe("again", "again.*", "again").json()
    api.publish("again.one", {}, "ag-1")
    checks.eventually("the first gets its event", lambda: server.ids("/again") == ["ag-1"])
    # The function has answered before the broker knows, until then the delivery is pending.
    checks.eventually(
        "it can be deleted", lambda: api.delete("subscriptions", "again").status == 200
    )
    api.publish("again.one", {}, "ag-2")
    second = api.subscribe("again", "again.*", "again").json()
    checks.that("the same name is another subscription", second["uid"] != first["uid"])
    api.publish("again.one", {}, "ag-3")
    checks.eventually("with its own start", lambda: "ag-3" in server.ids("/again"))
    checks.equal("what came between is nobody's", server.ids("/again"), ["ag-1", "ag-3"])


def how_it_is_doing(api, checks):
    def settled():
        now = status(api, "fan-1")
        return now if now.get("floorSequence") == now.get("headSequence") else None

    now = checks.eventually("the status reaches the head", settled)
    if now:
        checks.equal("with nothing in flight", int(now.get("inFlight", 0)), 0)
        checks.equal("or waiting", int(now.get("retrying", 0)), 0)
    unknown = api.http.get(f"{api.root}/subscriptions/nobody:status")
    checks.status("of an unknown one", unknown, 404)


def test(suite, checks):
    server = FunctionServer()
    api = Api(suite.http)
    with checks.section("pause"):
        pause(api, server, checks)
    with checks.section("pause and restart"):
        paused_over_restart(suite, api, server, checks)
    with checks.section("change"):
        change(api, server, checks)
    with checks.section("many"):
        many(api, server, checks)
    with checks.section("the same name again"):
        recreate(api, server, checks)
    with checks.section("status"):
        how_it_is_doing(api, checks)
    server.close()


if __name__ == "__main__":
    run_with_suite(test)
