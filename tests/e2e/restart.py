"""SIGTERM and kill -9 of everything: what was acknowledged is there afterwards, and work goes on."""

import pathlib
import sys
import threading

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))

from penstock_test.api import Api, cloud_event
from penstock_test.function_server import Answer, FunctionServer
from penstock_test.suite import run_with_suite

RETRY = {"maxAttempts": 100, "initialDelay": "0.1s", "maxDelay": "0.5s"}


def publish_many(api, prefix, count):
    """Publishes in batches; gives the ids that were acknowledged."""
    acknowledged = []
    for start in range(0, count, 50):
        events = [
            cloud_event("keep.item", {"n": n}, f"{prefix}-{n}") for n in range(start, start + 50)
        ]
        for receipt in api.publish_batch(events).json():
            acknowledged.append(receipt["id"])
    return acknowledged


class Background:
    """Publishes one event after the other until told to stop, whatever happens to the server."""

    def __init__(self, api, prefix):
        self.acknowledged = []
        self._stop = threading.Event()
        self._api = api
        self._prefix = prefix
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self):
        number = 0
        while not self._stop.is_set():
            event_id = f"{self._prefix}-{number}"
            number += 1
            try:
                if self._api.publish("keep.item", {}, event_id).status == 202:
                    self.acknowledged.append(event_id)
            except OSError:
                self._stop.wait(0.02)

    def stop(self):
        self._stop.set()
        self._thread.join()
        return self.acknowledged


def everything_is_back(suite, api, server, acknowledged, checks, what):
    stored = set()
    token = ""
    while token is not None:
        page = suite.http.get(f"/events?type=keep.*&pageSize=1000&pageToken={token}").json()
        stored |= {event["event"]["id"] for event in page.get("events", [])}
        token = page.get("nextPageToken") or None
    lost = set(acknowledged) - stored
    checks.that(f"{what}: every acknowledged event is stored", not lost, sorted(lost)[:10])
    checks.eventually(
        f"{what}: every one is delivered", lambda: set(acknowledged) <= set(server.ids("/keep")), 30
    )
    missing = set(acknowledged) - set(server.ids("/keep"))
    checks.that(f"{what}: none is missing", not missing, sorted(missing)[:10])
    checks.equal(f"{what}: the subscription is there", api.get("subscriptions", "keep").status, 200)
    checks.equal(f"{what}: the function is there", api.invoke("say", {}).json(), {"said": True})


def clean_restart(suite, api, server, checks):
    acknowledged = publish_many(api, "clean", 200)
    codes = suite.stop()
    checks.equal("SIGTERM ends every program with 0", set(codes.values()), {0})
    suite.start()
    everything_is_back(suite, api, server, acknowledged, checks, "after SIGTERM")
    duplicate = api.publish("keep.item", {"n": 0}, "clean-0")
    checks.equal(
        "duplicates are known after a restart", duplicate.json().get("status"), "DUPLICATE"
    )


def stop_under_load(suite, api, server, checks):
    load = Background(api, "drain")
    checks.eventually("events flow", lambda: len(load.acknowledged) > 100)
    codes = suite.stop()
    checks.equal("SIGTERM under load ends every program with 0", set(codes.values()), {0})
    suite.start()
    acknowledged = load.stop()
    everything_is_back(suite, api, server, acknowledged, checks, "after SIGTERM under load")


def kill_under_load(suite, api, server, checks):
    for turn in range(3):
        load = Background(api, f"kill{turn}")
        checks.eventually("events flow", lambda load=load: len(load.acknowledged) > 50)
        suite.kill()
        suite.start()
        before = len(load.acknowledged)
        checks.eventually(
            "they flow again", lambda load=load, n=before: len(load.acknowledged) > n + 20
        )
        everything_is_back(suite, api, server, load.stop(), checks, f"after kill -9, turn {turn}")


def what_waited_goes_on(suite, api, server, checks):
    """Retries and dead letters survive."""
    server.plan("/dead", Answer(422))
    api.create_http("dead", f"{server.url}/dead")
    api.subscribe("dead", "dead.*", "dead")
    api.publish("dead.one", {}, "dl-1")
    checks.eventually("there is a dead letter", lambda: api.dead_letters(eventId="dl-1"))
    server.plan("/later", Answer(503), Answer(200))
    api.create_http("later", f"{server.url}/later")
    policy = {"maxAttempts": 5, "initialDelay": "2s", "maxDelay": "2s"}
    api.subscribe("later", "later.*", "later", retry=policy)
    api.publish("later.one", {}, "lt-1")
    checks.eventually("one waits for its retry", lambda: len(server.calls("/later")) == 1)
    checks.eventually("its failure is on record", lambda: api.executions(eventId="lt-1"))
    before = api.executions(function="dead")
    # What is written behind has 100 ms; the broker's own rows as well.
    checks.eventually("its retry is stored", lambda: _retrying(suite, api) != 0)
    suite.kill()
    suite.start()
    checks.equal("dead letters are kept", len(api.dead_letters(eventId="dl-1")), 1)
    checks.eventually("the retry happens", lambda: len(server.calls("/later")) >= 2)
    checks.equal("execution records are kept", api.executions(function="dead")[:1], before[:1])


def _retrying(suite, api):
    answer = suite.http.get(f"{api.root}/subscriptions/later:status")
    return int(answer.json().get("retrying", 0)) if answer.status == 200 else None


def data_folder_is_locked(suite, checks):
    if suite.shape != "up":
        return
    process = suite.processes["up"]
    second = type(process)("second", [*process._command], suite.folder / "logs" / "second.log")
    second.start()
    checks.eventually("a second program on one folder ends", lambda: not second.running(), 20)
    checks.that("with an error", second.exit_code() not in (0, None), second.exit_code())
    second.kill()


def test(suite, checks):
    server = FunctionServer()
    api = Api(suite.http)
    with checks.section("functions"):
        api.create_http("keep", f"{server.url}/keep")
        api.create_python("say", "def handle(ctx, payload):\n    return {'said': True}\n")
        checks.status("a subscription", api.subscribe("keep", "keep.*", "keep", retry=RETRY), 200)
    for part in (clean_restart, stop_under_load, kill_under_load, what_waited_goes_on):
        with checks.section(part.__name__.replace("_", " ")):
            part(suite, api, server, checks)
    with checks.section("one program a folder"):
        data_folder_is_locked(suite, checks)
    server.close()


if __name__ == "__main__":
    run_with_suite(test)
