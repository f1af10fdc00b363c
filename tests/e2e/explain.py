"""Explanations: who an event met and why, its attempts, what it waits for; filters alone; metrics."""

import pathlib
import sys
import threading

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))

from penstock_test.api import Api, cloud_event, violated_fields
from penstock_test.function_server import Answer, FunctionServer, json_answer
from penstock_test.process import bin_dir
from penstock_test.suite import run_with_suite


def explain(api, event_id, **parameters):
    query = "&".join(f"{name}={value}" for name, value in parameters.items())
    return api.http.get(f"/events/{event_id}:explain" + (f"?{query}" if query else ""))


def by_name(answer):
    return {one["subscription"].rsplit("/", 1)[1]: one for one in answer.json().get("subscriptions", [])}


def matching(api, server, checks):
    api.create_http("ok", f"{server.url}/ok")
    api.subscribe("wants", "match.*", "ok", filters=[{"exact": {"source": "/test"}}])
    api.subscribe(
        "refuses",
        "match.one",
        "ok",
        filters=[
            {"prefix": {"source": "/t"}},
            {"any": [{"exact": {"subject": "17"}}, {"suffix": {"subject": "9"}}]},
        ],
    )
    api.subscribe("elsewhere", "user.*", "ok")
    api.publish("match.one", {}, "ex-1", subject="18")
    found = checks.eventually(
        "it is delivered",
        lambda: (lambda now: now if now["wants"].get("deliveryState") == "DELIVERED" else None)(
            by_name(explain(api, "ex-1"))
        ),
    )
    if not found:
        return
    checks.equal("those of its type are named", sorted(found), ["refuses", "wants"])
    wants = found["wants"]
    checks.equal("a match says by what", wants["clause"], "eventType, filters[0].exact.source")
    checks.that("and its delivery", wants["deliveryId"].startswith(wants["subscriptionUid"]), wants)
    refuses = found["refuses"]
    checks.that("what did not match says so", not refuses.get("matched"), refuses)
    checks.equal(
        "and by what",
        refuses["clause"],
        "filters[1].any[0].exact.subject, filters[1].any[1].suffix.subject",
    )
    everyone = by_name(explain(api, "ex-1", all="true"))
    checks.equal("all names the rest", everyone.get("elsewhere", {}).get("clause"), "eventType")
    only = by_name(explain(api, "ex-1", subscription="elsewhere"))
    checks.equal("or one alone", list(only), ["elsewhere"])
    first = explain(api, "ex-1").json()["event"]
    sequence = first["sequence"]
    checks.equal("by sequence too", sorted(by_name(explain(api, f"sequence:{sequence}"))), ["refuses", "wants"])
    api.update("subscriptions", "wants", {"eventType": "other.*"}, mask="eventType")
    checks.that("a later change does not count", by_name(explain(api, "ex-1"))["wants"].get("matched"))
    checks.status("an unknown event", explain(api, "nobody"), 404)
    checks.equal("a bad sequence", violated_fields(explain(api, "sequence:x")), ["id"])


def waiting(api, server, checks):
    """A retry, a key that waits, a pause, and what is in flight."""
    server.plan("/wait", Answer(503, b"not now"))
    api.create_http("wait", f"{server.url}/wait")
    slow = {"maxAttempts": 5, "initialDelay": "60s", "maxDelay": "60s", "jitter": -1}
    api.subscribe("wait", "wait.*", "wait", retry=slow, ordering={"by": "subject"})
    api.publish("wait.one", {}, "wa-1", subject="k")
    api.publish("wait.two", {}, "wa-2", subject="k")
    first = checks.eventually(
        "a retry is shown",
        lambda: (lambda now: now if now.get("deliveryState") == "RETRYING" else None)(
            by_name(explain(api, "wa-1"))["wait"]
        ),
    )
    if first:
        checks.equal("with its attempts", int(first["attemptCount"]), 1)
        checks.equal("their status", first["attempts"][0]["httpStatus"], 503)
        checks.that("its time", first.get("dueTime"), first)
        checks.that("and what it waits for", first.get("waitsFor"), first)
    second = checks.eventually(
        "what is behind it waits for its key",
        lambda: (lambda now: now if now.get("waitsFor") == "an earlier event of its key" else None)(
            by_name(explain(api, "wa-2"))["wait"]
        ),
    )
    checks.that("and says so", second)
    api.create_http("sleep", f"{server.url}/sleep")
    api.subscribe("sleep", "sleep.*", "sleep")
    api.http.post(f"{api.root}/subscriptions/sleep:pause", json_body={})
    api.publish("sleep.one", {}, "sl-1")
    paused = checks.eventually(
        "a pause is the reason",
        lambda: (lambda now: now if "paused" in now.get("waitsFor", "") else None)(
            by_name(explain(api, "sl-1"))["sleep"]
        ),
    )
    checks.that("while nothing is sent", paused and not server.calls("/sleep"))
    server.plan("/hang", Answer(misbehave="hang"))
    api.create_http("hang", f"{server.url}/hang")
    api.subscribe("hang", "hang.*", "hang", timeout="60s")
    api.publish("hang.one", {}, "ha-1")
    checks.eventually(
        "an attempt that runs is in flight",
        lambda: by_name(explain(api, "ha-1"))["hang"].get("deliveryState") == "IN_FLIGHT",
    )
    server.release()


def dead(api, server, checks):
    server.plan("/dead", Answer(500, b"it is broken"))
    api.create_http("dead", f"{server.url}/dead")
    api.subscribe("dead", "dead.*", "dead", retry={"maxAttempts": 2, "initialDelay": "0.01s"})
    api.publish("dead.one", {}, "de-1")
    found = checks.eventually(
        "a dead letter is the end",
        lambda: (lambda now: now if now.get("deliveryState") == "DEAD_LETTER" else None)(
            by_name(explain(api, "de-1"))["dead"]
        ),
    )
    if found:
        checks.equal("with all attempts", [one["attempt"] for one in found["attempts"]], [1, 2])
        checks.contains("and the last error", found["lastError"]["message"], "500")
    api.delete("subscriptions", "dead", force="true")
    gone = by_name(explain(api, "de-1"))["dead"]
    checks.equal("also after its subscription is gone", gone["deliveryState"], "DEAD_LETTER")


def try_filters(api, checks):
    def ask(**body):
        return api.http.post("/api/v1/filters:test", json_body=body)

    event = cloud_event("order.paid", {}, "tf-1", source="/shop", subject="17")
    filters = [{"exact": {"source": "/shop"}}, {"not": {"suffix": {"subject": "7"}}}]
    answer = ask(eventType="order.*", filters=filters, event=event).json()
    checks.that("a filter can be tried", not answer.get("matched"), answer)
    checks.equal("and says what did not hold", answer.get("clause"), "filters[1].not.suffix.subject")
    answer = ask(eventType="order.*", filters=filters[:1], event=event).json()
    checks.that("or that all did", answer.get("matched"), answer)
    checks.equal("no event", violated_fields(ask(filters=filters)), ["event"])
    bad = ask(filters=[{"exact": {"Source": "x"}}], event=event)
    checks.equal("a bad filter is named", violated_fields(bad), ["filters[0].exact"])
    spaces = api.http.get("/api/v1/spaces").json().get("spaces", [])
    checks.that("spaces are listed", "default" in spaces, spaces)


def live(suite, api, server, checks):
    """`events tail --explain`, from the publishing of an event to its delivery."""
    server.plan("/live", Answer(500), json_answer({}))
    api.create_http("live", f"{server.url}/live")
    api.subscribe("live", "live.*", "live", retry={"maxAttempts": 3, "initialDelay": "1s", "jitter": -1})
    shown = {}

    def tail():
        shown["run"] = suite.cli(
            "events", "tail", "--explain", "--type", "live.*", "--from", "5m", "--limit", "1", timeout=60
        )

    api.publish("live.one", {"n": 1}, "lv-1")
    thread = threading.Thread(target=tail)
    thread.start()
    thread.join(60)
    run = shown.get("run")
    checks.that(f"{bin_dir().name}/penstock shows an event's life", run and run.returncode == 0, run)
    if run:
        places = [run.stdout.find(part) for part in ("live.one", "live RETRYING", "live DELIVERED")]
        checks.that("from its storing to its end", -1 < places[0] < places[1] < places[2], run.stdout)


def metrics(suite, checks):
    service = "event-broker" if suite.shape == "services" else "up"

    def there():
        names = ("lag_sequences", "oldest_pending_seconds", "retrying_deliveries", "dead_letters")
        return all(suite.metric(service, f"penstock_broker_subscription_{name}") is not None for name in names)

    checks.eventually("subscriptions have metrics", there, 30)
    checks.that(
        "and so have functions",
        suite.metric(service, "penstock_broker_target_window_calls"),
    )


def test(suite, checks):
    server = FunctionServer()
    api = Api(suite.http)
    with checks.section("matching"):
        matching(api, server, checks)
    with checks.section("waiting"):
        waiting(api, server, checks)
    with checks.section("dead"):
        dead(api, server, checks)
    with checks.section("filters"):
        try_filters(api, checks)
    with checks.section("live"):
        live(suite, api, server, checks)
    with checks.section("metrics"):
        metrics(suite, checks)
    server.close()


if __name__ == "__main__":
    run_with_suite(test)
