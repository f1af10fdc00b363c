"""Asynchronous invocations: durable with the 202, polled, tried again, cancelled, their results sent on; what records
say; metrics that functions emit."""

import json
import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))

from penstock_test.api import Api, violated_fields
from penstock_test.checks import wait_until
from penstock_test.http_client import HttpClient
from penstock_test.function_server import Answer, FunctionServer, json_answer
from penstock_test.suite import run_with_suite

DOUBLE = """
import penstock

def handle(ctx, payload):
    penstock.metric("doubled", payload["n"], kind="number")
    return {"n": 2 * payload["n"], "attempt": ctx.get("attempt")}
"""


def call_async(api, function, body, query="", **headers):
    return api.http.post(
        f"{api.root}/functions/{function}:invokeAsync{query}",
        json.dumps(body),
        headers={"Content-Type": "application/json"} | {k.replace("_", "-"): v for k, v in headers.items()},
    )


def execution(api, name):
    return api.http.get(f"/api/v1/{name}")


def state(api, name):
    return execution(api, name).json().get("state")


def wait_for_state(api, name, wanted, what):
    wait_until(lambda: state(api, name) == wanted, 30, what)
    return execution(api, name).json()


def polled(api, checks):
    api.create_python("double", DOUBLE)
    accepted = call_async(api, "double", {"n": 21})
    checks.status("202 once it is durable", accepted, 202)
    name = accepted.json()["execution"]
    done = wait_for_state(api, name, "SUCCEEDED", "the run")
    checks.equal("the result is in the record", done["output"]["json"]["n"], 42)
    checks.equal("by the name of the answer", done["name"], name)
    checks.equal("it is a call", done["trigger"], "CALL")
    checks.equal("with the event behind it", done["eventId"], accepted.json()["eventId"])
    checks.that("and a trace", len(done["traceId"]) == 32, done)
    for stage in ("queueDuration", "middlewareDuration", "driverDuration"):
        checks.that(f"{stage} is there", stage in done, done)
    event = api.http.get("/events")
    checks.contains("the invocation is in the log", event.text(), accepted.json()["eventId"])
    checks.status("an unknown function", call_async(api, "nobody", {}), 404)
    wrong = call_async(api, "double", {}, "?callbackUrl=nowhere")
    checks.status("a callback that is no URL", wrong, 400)
    checks.equal("is named", violated_fields(wrong), ["callback_url"])
    listed = [one["name"] for one in api.get("subscriptions").json().get("subscriptions", [])]
    checks.equal("no subscription shows up in lists", listed, [])
    own = api.get("subscriptions", "penstock.async.double")
    checks.status("but it is there by its name", own, 200)
    refused = api.subscribe("penstock.mine", "a.b", "double")
    checks.status("ids like it are reserved", refused, 400)


def once(suite, api, checks):
    first = call_async(api, "double", {"n": 1}, Idempotency_Key="order-7")
    checks.status("a call with a key", first, 202)
    wait_for_state(api, first.json()["execution"], "SUCCEEDED", "the call with a key")
    again = call_async(api, "double", {"n": 2}, Idempotency_Key="order-7")
    checks.equal("again: the first one's answer", again.json(), {**first.json(), "duplicate": True})
    quoted = call_async(api, "double", {"n": 2}, Idempotency_Key='"order-7"')
    checks.equal("in quotes, as the header's draft has it", quoted.json(), again.json())
    other = call_async(api, "double", {"n": 3}, "?idempotencyKey=order-8").json()
    checks.that("another key: another call", other["execution"] != first.json()["execution"], other)
    by_cli = suite.cli("function", "invoke", "double", "--async", "--data", "{}", "--idempotency-key", "order-7")
    checks.contains("the command line says it", by_cli.stderr, "the key was used before")
    checks.equal("and names the first", by_cli.stdout.strip(), first.json()["execution"].split("/")[-1])
    wrong = call_async(api, "double", {}, Idempotency_Key="k" * 256)
    checks.status("too long a key", wrong, 400)
    checks.equal("is named", violated_fields(wrong), ["idempotency_key"])


def metrics(suite, checks):
    admin = HttpClient(suite.admin_port("function-executor" if suite.shape == "services" else "up"))
    checks.contains(
        "what the function emitted",
        admin.get("/metrics").text(),
        'penstock_function_doubled{kind="number",function="double",space="default"} 21',
    )


def tried_again(api, server, checks):
    policy = {"maxAttempts": 3, "initialDelay": "0.05s", "maxDelay": "0.1s"}
    server.plan("/flaky", Answer(503), Answer(503), json_answer({"at": "last"}))
    api.create_http("flaky", f"{server.url}/flaky", **{"async": policy})
    accepted = call_async(api, "flaky", {"try": 1}).json()
    done = wait_for_state(api, accepted["execution"], "SUCCEEDED", "the third attempt")
    checks.equal("the third attempt succeeds", done["attempt"], 3)
    attempts = api.executions(deliveryId=accepted["deliveryId"])
    checks.equal("each has a record", sorted(one["attempt"] for one in attempts), [1, 2, 3])

    server.plan("/broken", Answer(500))
    api.create_http("broken", f"{server.url}/broken", **{"async": policy})
    name = call_async(api, "broken", {"n": 1}).json()["execution"]
    wait_until(lambda: api.dead_letters(subscription="penstock.async.broken"), 20, "a dead letter")
    checks.equal("then it has failed", state(api, name), "FAILED")
    checks.equal("after all attempts", len(server.calls("/broken")), 3)


def sent_on(api, server, checks):
    def told(path):
        wait_until(lambda: server.calls(path), 20, f"a call of {path}")
        return server.calls(path)[0]

    for name in ("after", "audit"):
        api.create_http(name, f"{server.url}/{name}")
    api.subscribe("audit", "double.done", "audit")
    callback = f"callbackUrl={server.url}/told"
    call_async(api, "double", {"n": 1}, f"?{callback}")
    request = told("/told")
    checks.equal(
        "a callback is a CloudEvent", request.headers["ce-type"], "penstock.invocation.completed"
    )
    checks.equal("that says how it ended", request.headers["ce-penstockstate"], "SUCCEEDED")
    checks.equal("with the result", request.json()["n"], 2)
    call_async(api, "double", {"n": 5}, "?onSuccess.function=after")
    checks.equal("a function gets the result", told("/after").json()["n"], 10)
    call_async(api, "double", {"n": 7}, "?onSuccess.eventType=double.done")
    checks.equal("subscribers get the result", told("/audit").json()["n"], 14)

    server.forget()
    call_async(api, "broken", {"n": 9}, f"?onFailure.function=after&{callback}")
    checks.equal("a failure passes on what was given", told("/after").json()["n"], 9)
    checks.equal("and is told", told("/told").headers["ce-penstockstate"], "FAILED")
    letters = api.dead_letters(subscription="penstock.async.broken")
    checks.equal("and is no dead letter", len(letters), 1)


def cancelled(api, checks):
    lane = f"{api.root}/subscriptions/penstock.async.double"
    checks.status("the function's lane can be paused", api.http.post(f"{lane}:pause", json_body={}), 200)
    accepted = call_async(api, "double", {"n": 3})
    name = accepted.json()["execution"]
    checks.equal("then calls are queued", state(api, name), "QUEUED")
    other = call_async(api, "double", {"n": 4}).json()["execution"]

    def cancel():
        return api.http.post(f"/api/v1/{name}:cancel", json_body={})

    answers = []

    def is_cancelled():
        answers.append(cancel())
        return answers[-1].status == 200

    wait_until(is_cancelled, 20, "the cancellation")
    ended = execution(api, name).json()
    checks.equal("what is cancelled failed", ended["state"], "FAILED")
    checks.equal("as that", ended["error"]["type"], "Cancelled")
    checks.status("only once", cancel(), 400)
    api.http.post(f"{lane}:resume", json_body={})
    wait_for_state(api, other, "SUCCEEDED", "what was queued behind it")
    checks.equal("the cancelled one never ran", state(api, name), "FAILED")


def survives(suite, api, checks):
    lane = f"{api.root}/subscriptions/penstock.async.double"
    api.http.post(f"{lane}:pause", json_body={})
    name = call_async(api, "double", {"n": 8}).json()["execution"]
    suite.kill()
    suite.start()
    checks.equal("an accepted call survives kill -9", state(api, name), "QUEUED")
    api.http.post(f"{lane}:resume", json_body={})
    done = wait_for_state(api, name, "SUCCEEDED", "the run after the restart")
    checks.equal("and runs", done["output"]["json"]["n"], 16)


def cli(suite, checks):
    def run(*arguments):
        done = suite.cli(*arguments)
        checks.equal(f"penstock {' '.join(arguments)}", done.returncode, 0)
        return done.stdout

    name = run("function", "invoke", "double", "--async", "--data", '{"n": 1}').strip()
    wait_until(lambda: "SUCCEEDED" in run("executions", "get", name), 20, "the run")
    listed = run("executions", "list", "--function", "double", "--state", "succeeded")
    checks.contains("its attempt is in the list", listed, f"{name}.1")
    wrong = suite.cli("function", "invoke", "double", "--on-success", "function:after")
    checks.equal("destinations need --async", wrong.returncode, 2)


def main(suite, checks):
    api = Api(suite.http)
    server = FunctionServer()
    try:
        polled(api, checks)
        metrics(suite, checks)
        tried_again(api, server, checks)
        sent_on(api, server, checks)
        once(suite, api, checks)
        cancelled(api, checks)
        cli(suite, checks)
        survives(suite, api, checks)
    finally:
        server.close()


if __name__ == "__main__":
    run_with_suite(main)
