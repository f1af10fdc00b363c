"""Where subscriptions begin and end: start positions, drains, deletion, and going on where a deleted one stopped."""

import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))

from penstock_test.api import Api, violated_fields
from penstock_test.function_server import Answer, FunctionServer, json_answer
from penstock_test.suite import run_with_suite


def post(api, name, verb):
    return api.http.post(f"{api.root}/subscriptions/{name}:{verb}", json_body={})


def subscribe(api, name, **more):
    return api.subscribe(name, "past.*", name, **more)


def starts(api, server, checks):
    events = []
    for number in range(10):
        receipt = api.publish("past.one", {"n": number}, f"pa-{number}")
        events.append(api.http.get(f"/events/pa-{number}").json())
        checks.status(f"event {number}", receipt, 202)
    ids = [f"pa-{number}" for number in range(10)]
    for name, start, expected in (
        ("earliest", {"earliest": True}, ids),
        ("sequence", {"sequence": events[6]["sequence"]}, ids[6:]),
        ("time", {"time": events[4]["appendTime"]}, ids[4:]),
        ("nowhere", None, []),
    ):
        api.create_http(name, f"{server.url}/{name}")
        made = subscribe(api, name, **({"start": start} if start else {}))
        checks.status(f"a start at {name}", made, 200)
        checks.that(
            f"{name}: the answer says from where",
            int(made.json()["start"]["resolvedSequence"]) > 0,
            made,
        )
        checks.eventually(
            f"{name}: these come", lambda n=name, e=expected: set(server.ids(f"/{n}")) == set(e)
        )
    api.publish("past.one", {}, "pa-new")
    for name in ("earliest", "sequence", "time", "nowhere"):
        checks.eventually(f"{name}: new ones follow", lambda n=name: "pa-new" in server.ids(f"/{n}"))
    checks.equal("each comes once", len(server.ids("/earliest")), 11)


def bad_starts(api, checks):
    for start, fields in (
        ({"sequence": "999999"}, ("start.sequence",)),
        ({"sequence": "-1"}, ("start.sequence",)),
        ({"time": "2199-01-01T00:00:00Z"}, ("start.time",)),
        ({"earliest": True, "sequence": "1"}, ("start",)),
    ):
        answer = api.subscribe("bad", "past.*", "earliest", start=start)
        checks.status(f"a start at {start} is refused", answer, 400)
        named = violated_fields(answer) or [answer.json()["message"].split(":")[0]]
        checks.that(f"{start}: the field is named", named[0].startswith(fields), answer)
    changed = api.update("subscriptions", "earliest", {"start": {"sequence": "3"}}, mask="start")
    checks.status("a start cannot be changed", changed, 400)


def drains(suite, api, server, checks):
    server.plan("/drain", Answer(500), json_answer({}))
    api.create_http("drain", f"{server.url}/drain")
    api.subscribe(
        "drain", "drain.*", "drain", maxInFlight=1, retry={"maxAttempts": 5, "initialDelay": "1s", "jitter": -1}
    )
    for number in range(5):
        api.publish("drain.one", {"n": number}, f"dr-{number}")
    drained = post(api, "drain", "drain")
    checks.status("a subscription can be drained", drained, 200)
    checks.that("and says so", drained.json().get("state") in ("DRAINING", "PAUSED"), drained)
    api.publish("drain.one", {}, "dr-after")
    checks.eventually(
        "what was published before is delivered, retries included",
        lambda: {f"dr-{number}" for number in range(5)} <= set(server.ids("/drain")),
    )
    checks.eventually(
        "then it is paused", lambda: api.get("subscriptions", "drain").json()["state"] == "PAUSED"
    )
    checks.that("what came after waits", "dr-after" not in server.ids("/drain"), server.ids("/drain"))
    suite.kill()
    suite.start()
    checks.equal("also over a restart", api.get("subscriptions", "drain").json()["state"], "PAUSED")
    checks.that("with the rest waiting", "dr-after" not in server.ids("/drain"))
    resumed = post(api, "drain", "resume")
    checks.equal("it can be resumed", resumed.json().get("state"), "ACTIVE")
    checks.eventually("then the rest comes", lambda: "dr-after" in server.ids("/drain"))
    api.create_http("page", "http://127.0.0.1:9/")
    api.create_subscription("page", {"http": {"path": "/page"}, "function": "page"})
    checks.status("a path cannot be drained", post(api, "page", "drain"), 400)


def adopts(api, server, checks):
    """A deleted subscription's position, retries and dead letters go on under its name."""
    server.plan("/heir", Answer(503, b"not now"))
    api.create_http("heir", f"{server.url}/heir")
    slow = {"maxAttempts": 3, "initialDelay": "3600s", "maxDelay": "3600s"}
    first = api.subscribe("heir", "heir.*", "heir", retry=slow).json()
    api.publish("heir.one", {}, "he-1")
    checks.eventually("one waits for its retry", lambda: len(server.calls("/heir")) == 1)
    checks.eventually(
        "it is deleted", lambda: api.delete("subscriptions", "heir", force="true").status in (200, 404)
    )
    api.publish("heir.one", {}, "he-2")
    server.plan("/heir", json_answer({}))
    wanted = {"eventType": "heir.*", "function": "heir", "retry": {"maxAttempts": 3, "initialDelay": "0.1s"}}

    def adopted():
        answer = api.http.post(
            f"{api.root}/subscriptions?subscriptionId=heir&adoptUid={first['uid']}", json_body=wanted
        )
        return answer if answer.status == 200 else None

    second = checks.eventually("a new one adopts it", adopted)
    if second:
        checks.that("it is another subscription", second.json()["uid"] != first["uid"])
    checks.eventually("what came between is delivered", lambda: "he-2" in server.ids("/heir"))
    unknown = api.http.post(
        f"{api.root}/subscriptions?subscriptionId=other&adoptUid=nobody", json_body=wanted
    )
    checks.that("nobody cannot be adopted", unknown.status in (400, 404), unknown)


def test(suite, checks):
    server = FunctionServer()
    api = Api(suite.http)
    with checks.section("starts"):
        starts(api, server, checks)
    with checks.section("bad starts"):
        bad_starts(api, checks)
    with checks.section("drain"):
        drains(suite, api, server, checks)
    with checks.section("adoption"):
        adopts(api, server, checks)
    server.close()


if __name__ == "__main__":
    run_with_suite(test)
