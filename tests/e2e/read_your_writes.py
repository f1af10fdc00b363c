"""What a management call answered is true for the next event and the next call, every time."""

import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))

from penstock_test.api import Api
from penstock_test.checks import wait_until
from penstock_test.function_server import FunctionServer
from penstock_test.suite import run_with_suite

ROUNDS = 200


def events_meet_new_subscriptions(api, server, checks):
    wrong = []
    for number in range(ROUNDS):
        name = f"new-{number}"
        answers = [
            api.create_http(name, f"{server.url}/new"),
            api.subscribe(name, f"{name}.made", name),
            api.publish(f"{name}.made", {}, event_id=name),
        ]
        statuses = [answer.status for answer in answers]
        if statuses != [200, 200, 202]:
            wrong.append((name, [str(answer) for answer in answers]))
    checks.that(
        f"{ROUNDS} times function, subscription, event: none is refused", not wrong, wrong[:3]
    )
    expected = {f"new-{number}" for number in range(ROUNDS)}
    try:
        wait_until(lambda: expected <= set(server.ids("/new")), 20, "all delivered")
    except AssertionError:
        pass
    lost = expected - set(server.ids("/new"))
    checks.that("each event reached its function", not lost, sorted(lost)[:10])
    failed = [run for run in api.executions(state="FAILED")]
    checks.that("at the first attempt", not failed, failed[:2])


def calls_meet_new_functions(api, checks):
    wrong = []
    for number in range(ROUNDS):
        name = f"call-{number}"
        api.create_function(name, {"noop": {}})
        answer = api.invoke(name, {"n": number})
        if answer.status != 200 or answer.json() != {"n": number}:
            wrong.append(str(answer))
    checks.that(f"{ROUNDS} times function, call: each answers", not wrong, wrong[:3])
    wrong = []
    for number in range(ROUNDS):
        name = f"call-{number}"
        api.delete("functions", name)
        answer = api.invoke(name, {})
        if answer.status != 404:
            wrong.append(str(answer))
    checks.that(f"{ROUNDS} times deletion, call: each is 404", not wrong, wrong[:3])


def calls_meet_new_versions(api, server, checks):
    wrong = []
    api.create_http("changing", f"{server.url}/v0")
    for number in range(1, 101):
        api.update(
            "functions", "changing", {"http": {"url": f"{server.url}/v{number}"}}, mask="http"
        )
        answer = api.invoke("changing", {})
        if answer.status != 200 or answer.json() != {"path": f"/v{number}"}:
            wrong.append(str(answer))
    checks.that("100 times change, call: each runs the new version", not wrong, wrong[:3])


def requests_meet_new_paths(suite, api, checks):
    api.create_function("echo", {"noop": {}})
    wrong = []
    for number in range(100):
        path = f"/path-{number}"
        made = api.create_subscription(f"p-{number}", {"http": {"path": path}, "function": "echo"})
        answer = suite.http.post(path, '"hi"', headers={"Content-Type": "application/json"})
        if answer.status != 200 or made.header("Penstock-Consistency"):
            wrong.append(f"{made} {answer}")
        api.delete("subscriptions", f"p-{number}")
        answer = suite.http.post(path, '"hi"', headers={"Content-Type": "application/json"})
        if answer.status != 404:
            wrong.append(f"after deletion: {answer}")
    checks.that(
        "100 times path, request, deletion, request: each is as it should be", not wrong, wrong[:3]
    )


def deleted_subscriptions_get_nothing(api, server, checks):
    api.create_http("gone", f"{server.url}/gone")
    for number in range(50):
        api.subscribe("gone", "gone.*", "gone")
        api.delete("subscriptions", "gone", force="true")
        api.publish("gone.one", {}, event_id=f"gone-{number}")
    api.subscribe("gone", "gone.*", "gone")
    api.publish("gone.one", {}, event_id="gone-last")
    checks.eventually("the last one arrives", lambda: "gone-last" in server.ids("/gone"))
    checks.equal("events between do not", server.ids("/gone"), ["gone-last"])


def test(suite, checks):
    server = FunctionServer()
    api = Api(suite.http)
    with checks.section("events"):
        events_meet_new_subscriptions(api, server, checks)
    with checks.section("calls"):
        calls_meet_new_functions(api, checks)
        calls_meet_new_versions(api, server, checks)
    with checks.section("paths"):
        requests_meet_new_paths(suite, api, checks)
    with checks.section("deletions"):
        deleted_subscriptions_get_nothing(api, server, checks)
    server.close()


if __name__ == "__main__":
    run_with_suite(test)
