"""Replays: counted first, beside what is new, at a rate, paused, cancelled, over a restart; bad ranges refused."""

import pathlib
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))

from penstock_test.api import Api, violated_fields
from penstock_test.function_server import FunctionServer
from penstock_test.suite import run_with_suite

EVENTS = 40


def post(api, path, **body):
    return api.http.post(f"{api.root}/subscriptions/{path}", json_body=body)


def replay_of(api, name, replay):
    return api.http.get(f"{api.root}/subscriptions/{name}/replays/{replay}").json()


def ended(api, name, replay):
    now = replay_of(api, name, replay)
    return now if now.get("state") in ("DONE", "CANCELLED") else None


def prepare(api, server, checks):
    """Gives the sequences of the events, half of which match."""
    api.create_http("again", f"{server.url}/again")
    made = api.subscribe("again", "again.*", "again")
    checks.status("a subscription", made, 200)
    sequences = []
    for number in range(EVENTS):
        kind = "again.one" if number % 2 == 0 else "other.one"
        receipt = api.publish(kind, {"n": number}, f"ag-{number}")
        sequences.append(int(receipt.json()["sequence"]))
    checks.eventually("its events arrive", lambda: len(server.ids("/again")) == EVENTS // 2)
    return sequences


def refused(api, sequences, checks):
    head = sequences[-1]
    for title, body, field in (
        ("above the head", {"toSequence": str(head + 1000)}, "toSequence"),
        ("from above the head", {"fromSequence": str(head + 1000)}, "fromSequence"),
        ("backwards", {"fromSequence": "5", "toSequence": "4"}, "toSequence"),
        ("of negative numbers", {"fromSequence": "-1"}, "fromSequence"),
        ("from the future", {"fromTime": "2199-01-01T00:00:00Z"}, "fromTime"),
        ("before everything", {"toTime": "2001-01-01T00:00:00Z"}, "toTime"),
        (
            "of times backwards",
            {"fromTime": "2026-01-02T00:00:00Z", "toTime": "2026-01-01T00:00:00Z"},
            "toTime",
        ),
        ("with two beginnings", {"fromSequence": "1", "fromTime": "2026-01-01T00:00:00Z"}, "fromTime"),
        ("too fast", {"ratePerSecond": 2000000}, "ratePerSecond"),
    ):
        answer = post(api, "again:replay", **body)
        checks.status(f"a replay {title} is refused", answer, 400)
        named = violated_fields(answer) or [answer.json()["message"].split(":")[0]]
        checks.equal(f"{title}: the field is named", named, [field])
    checks.status("of nobody", post(api, "nobody:replay"), 404)
    api.create_http("page", "http://127.0.0.1:9/")
    api.create_subscription("page", {"http": {"path": "/page"}, "function": "page"})
    checks.status("of a path", post(api, "page:replay"), 400)
    checks.status("an unknown one", api.http.get(f"{api.root}/subscriptions/again/replays/none"), 404)


def counted_and_delivered(api, server, sequences, checks):
    span = {"fromSequence": str(sequences[0]), "toSequence": str(sequences[9])}
    counted = post(api, "again:replay", dryRun=True, **span)
    checks.equal("a dry run counts", int(counted.json().get("matchedCount", 0)), 5)
    checks.equal("and sends nothing", len(server.ids("/again")), EVENTS // 2)
    before = {call.delivery_id for call in server.calls("/again")}
    server.forget()
    started = post(api, "again:replay", **span)
    checks.status("a replay starts", started, 200)
    replay = started.json()["replayId"]
    done = checks.eventually("and ends", lambda: ended(api, "again", replay))
    if done:
        counts = [int(done.get(name, 0)) for name in ("matchedCount", "deliveredCount", "deadLetterCount")]
        checks.equal("with its counts", counts, [5, 5, 0])
        checks.equal("its state", done["state"], "DONE")
        checks.that("and its end", done.get("endTime"))
    checks.equal("each event once", sorted(server.ids("/again")), sorted(f"ag-{n}" for n in range(0, 10, 2)))
    after = {call.delivery_id for call in server.calls("/again")}
    checks.that("under delivery ids of its own", not before & after, after)
    checks.that("which name it", all(f".{replay}-" in one for one in after), after)
    marked = {call.headers.get("penstock-replay") for call in server.calls("/again")}
    checks.equal("and are marked", marked, {"true"})
    checks.status("it cannot be paused any more", post(api, f"again/replays/{replay}:pause"), 400)
    listed = api.http.get(f"{api.root}/subscriptions/again/replays").json()["replays"]
    checks.equal("it is listed", [one["name"].rsplit("/", 1)[1] for one in listed], [replay])


def beside_what_is_new(api, server, checks):
    """A slow replay does not hold new events; it can be paused, survives kill -9, and can be cancelled."""
    server.forget()
    started = time.monotonic()
    replay = post(api, "again:replay", ratePerSecond=10).json()["replayId"]
    api.publish("again.one", {}, "ag-new")
    checks.eventually("a new event comes first", lambda: "ag-new" in server.ids("/again"), 3)
    checks.that("while the replay goes on", len(server.ids("/again")) < 15, server.ids("/again"))
    paused = post(api, f"again/replays/{replay}:pause")
    checks.equal("it can be paused", paused.json().get("state"), "PAUSED")
    count = checks.eventually("then nothing comes", lambda: _steady(server), 10)
    return replay, count, started


def _steady(server):
    before = len(server.calls("/again"))
    time.sleep(0.5)
    return before if before == len(server.calls("/again")) else None


def over_a_restart(suite, api, server, replay, checks):
    suite.kill()
    suite.start()
    checks.equal("a paused replay is still there", replay_of(api, "again", replay)["state"], "PAUSED")
    resumed = post(api, f"again/replays/{replay}:resume")
    checks.equal("and goes on", resumed.json().get("state"), "RUNNING")
    done = checks.eventually("to its end", lambda: ended(api, "again", replay), 30)
    if done:
        checks.equal("all matched", int(done["matchedCount"]), EVENTS // 2)
        checks.equal("were delivered", int(done["deliveredCount"]), EVENTS // 2)
    expected = {f"ag-{number}" for number in range(0, EVENTS, 2)}
    checks.that("none is missing", expected <= set(server.ids("/again")), server.ids("/again"))


def cancelled(api, server, checks):
    replay = post(api, "again:replay", ratePerSecond=2).json()["replayId"]
    given_up = post(api, f"again/replays/{replay}:cancel")
    checks.equal("it can be cancelled", given_up.json().get("state"), "CANCELLED")
    checks.status("once", post(api, f"again/replays/{replay}:resume"), 400)
    checks.eventually("then nothing comes", lambda: _steady(server) is not None, 10)
    checks.eventually("the subscription can go", lambda: api.delete("subscriptions", "again").status == 200)


def test(suite, checks):
    server = FunctionServer()
    api = Api(suite.http)
    with checks.section("prepare"):
        sequences = prepare(api, server, checks)
    with checks.section("bad ranges"):
        refused(api, sequences, checks)
    with checks.section("count and deliver"):
        counted_and_delivered(api, server, sequences, checks)
    with checks.section("beside what is new"):
        replay, _, _ = beside_what_is_new(api, server, checks)
    with checks.section("restart"):
        over_a_restart(suite, api, server, replay, checks)
    with checks.section("cancel"):
        cancelled(api, server, checks)
    server.close()


if __name__ == "__main__":
    run_with_suite(test)
