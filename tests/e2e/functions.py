"""The main journey: functions of every kind, subscriptions, events, executions with results and logs."""

import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))

from penstock_test.api import Api, violated_fields
from penstock_test.function_server import FunctionServer
from penstock_test.grpc_client import to_dict
from penstock_test.suite import run_with_suite

PYTHON = """
def handle(ctx, payload):
    print("greeting", payload.get("name"))
    return {"hello": payload.get("name"), "type": ctx.get("event", {}).get("type")}
"""
NODE = """
exports.handle = async (ctx, payload) => {
  console.error('adding');
  return { sum: payload.a + payload.b };
};
"""
EXEC = """#!/usr/bin/python3
import json, sys
for line in sys.stdin:
    request = json.loads(line)
    answer = {"payload": {"keys": sorted(request["payload"])}, "executionId": request["context"]["executionId"]}
    print(json.dumps(answer), flush=True)
"""


def create_functions(suite, api, server, checks):
    created = api.create_python("greet", PYTHON, metadata={"team": "web"})
    checks.status("a python3 function over REST", created, 200)
    function = created.json()
    checks.equal("its name", function.get("name"), "spaces/default/functions/greet")
    checks.equal("no executor has started it yet", function.get("state"), "DEPLOYING")
    checks.eventually(
        "then one has", lambda: api.get("functions", "greet").json()["state"] == "READY"
    )
    checks.that("it has a uid and an etag", function.get("uid") and function.get("etag"), function)
    checks.that(
        "the answer carries a revision", created.header("Penstock-Revision"), created.headers
    )

    made = suite.grpc.call(
        "functions",
        "CreateFunction",
        {
            "parent": "spaces/default",
            "function_id": "add",
            "function": {"process": {"runtime": "node", "source": NODE}},
        },
    )
    checks.equal("a node function over gRPC", made.name, "spaces/default/functions/add")
    checks.status(
        "an exec function over REST",
        api.create_function("keys", {"process": {"runtime": "exec", "source": EXEC}}),
        200,
    )
    checks.status("an HTTP function over REST", api.create_http("hook", f"{server.url}/hook"), 200)
    checks.status("a noop function", api.create_function("nothing", {"noop": {}}), 200)

    listed = api.get("functions").json()["functions"]
    ids = [function["name"].rsplit("/", 1)[1] for function in listed]
    checks.equal("functions are listed by name", ids, ["add", "greet", "hook", "keys", "nothing"])
    first = api.get("functions", pageSize=2).json()
    checks.equal("a page has its size", len(first["functions"]), 2)
    rest = api.get("functions", pageSize=4, pageToken=first["nextPageToken"]).json()
    checks.equal("the next page has the rest", len(rest["functions"]), 3)
    by_team = api.get("functions", **{"metadata.team": "web"})
    if by_team.status == 200:
        checks.equal("lists filter by metadata", len(by_team.json().get("functions", [])), 1)
    same = suite.grpc.call("functions", "GetFunction", {"name": "spaces/default/functions/hook"})
    checks.equal("both surfaces show the same function", same.http.url, f"{server.url}/hook")


ORDER = {
    "type": "object",
    "required": ["n"],
    "properties": {"n": {"type": "integer", "minimum": 1}},
}


def keep_to_schemas(api, checks):
    code = "def handle(ctx, payload):\n    return 'many' if payload['n'] > 9 else payload['n']\n"
    made = api.create_python("sized", code, inputSchema=ORDER, outputSchema={"type": "integer"})
    checks.status("a function with schemas", made, 200)
    checks.equal("its schema comes back as it was given", made.json().get("inputSchema"), ORDER)
    refused = api.create_function("bad", {"noop": {}, "inputSchema": {"type": "intger"}})
    checks.status("a schema that is none is refused", refused, 400)
    checks.equal("its field", violated_fields(refused), ["function.input_schema"])
    good = api.invoke("sized", {"n": 3})
    checks.status("what meets them is answered", good, 200)
    checks.equal("the answer", good.json(), 3)
    bad = api.invoke("sized", {"n": 0})
    checks.status("bad input is the caller's", bad, 400)
    checks.that("and says where", "/n: expected at least 1" in bad.text(), bad)
    checks.status("a bad answer is the function's", api.invoke("sized", {"n": 10}), 502)
    runs = api.executions(function="sized")
    errors = sorted(run["error"]["category"] for run in runs if run.get("error"))
    checks.equal("both are recorded", errors, ["FunctionError", "InputError"])
    checks.status("the subscription of it", api.subscribe("sizes", "size.given", "sized"), 200)
    api.publish("size.given", {"n": "x"}, event_id="s-1")
    letters = checks.eventually(
        "an event that it does not take is a dead letter at once",
        lambda: api.dead_letters(subscription="sizes"),
    )
    if letters:
        checks.equal("after one attempt", letters[0]["attempts"], 1)


def subscribe(suite, api, checks):
    made = api.subscribe("greet-users", "user.created", "greet")
    checks.status("a subscription by exact type over REST", made, 200)
    checks.equal("it is active", made.json().get("state"), "ACTIVE")
    checks.that(
        "it has an effective sequence", int(made.json().get("effectiveSequence", 0)) > 0, made
    )
    subscription = {"eventType": "user.*", "function": "hook"}
    made = suite.grpc.call(
        "catalog",
        "CreateSubscription",
        {"parent": "spaces/default", "subscription_id": "hook-users", "subscription": subscription},
    )
    checks.equal("a subscription by pattern over gRPC", made.event_type, "user.*")
    filters = [{"exact": {"source": "/shop"}}, {"not": {"prefix": {"subject": "test"}}}]
    checks.status(
        "a subscription with filters",
        api.subscribe("hook-shop", "order.*", "hook", filters=filters),
        200,
    )
    checks.status("everything to one function", api.subscribe("all", "*", "nothing"), 200)
    listed = api.get("subscriptions", function="hook").json().get("subscriptions", [])
    checks.equal("subscriptions of one function", len(listed), 2)


def publish_and_see(api, server, checks):
    published = api.publish("user.created", {"name": "Ada"}, event_id="u-1", subject="users/1")
    checks.status("publishing is acknowledged", published, 202)
    checks.equal("the receipt", published.json().get("status"), "ACCEPTED")
    checks.equal("the receipt has the id", published.json().get("id"), "u-1")
    checks.that("the receipt has a sequence", int(published.json()["sequence"]) > 0)

    def executed():
        found = api.executions(function="greet", eventId="u-1")
        return found if found and found[0].get("state") == "SUCCEEDED" else None

    found = checks.eventually("the python function ran on the event", executed)
    if found:
        run = found[0]
        checks.equal("its result", run["output"]["json"], {"hello": "Ada", "type": "user.created"})
        checks.equal("its log", run["logs"]["stdout"], ["greeting Ada"])
        checks.equal("its trigger", run["trigger"], "EVENT")
        checks.equal("its attempt", run["attempt"], 1)
        checks.equal(
            "its subscription", run["subscription"], "spaces/default/subscriptions/greet-users"
        )
        checks.equal("its input", run["input"]["json"], {"name": "Ada"})
        one = api.get("executions", run["name"].rsplit("/", 1)[1])
        checks.equal("an execution can be read by name", one.json().get("name"), run["name"])
    calls = checks.eventually("the HTTP function was called", lambda: server.calls("/hook"))
    if calls:
        headers = calls[0].headers
        checks.equal("the event arrives in binary mode", headers.get("ce-type"), "user.created")
        checks.equal("with its id", headers.get("ce-id"), "u-1")
        checks.equal("with its subject", headers.get("ce-subject"), "users/1")
        checks.equal("with its payload", calls[0].json(), {"name": "Ada"})
        checks.equal("with the attempt", calls[0].attempt, 1)
        checks.that("with a delivery id", calls[0].delivery_id, headers)
        checks.that("with a trace context", headers.get("traceparent"), headers)


def filters_decide(api, server, checks):
    server.forget()
    api.publish("order.paid", {}, event_id="o-other", source="/other")
    api.publish("order.paid", {}, event_id="o-test", source="/shop", subject="test-1")
    api.publish("order.paid", {}, event_id="o-match", source="/shop", subject="real")
    checks.eventually("the matching event arrives", lambda: server.ids("/hook") == ["o-match"])
    checks.eventually(
        "`*` takes every event",
        lambda: len(api.executions(function="nothing", subscription="all")) >= 4,
    )
    checks.equal("only the matching one", server.ids("/hook"), ["o-match"])


def call_directly(suite, api, checks):
    answer = api.invoke("add", {"a": 19, "b": 23})
    checks.status(":invoke answers", answer, 200)
    checks.equal("with the function's result", answer.json(), {"sum": 42})
    execution = answer.header("Penstock-Execution", "")
    checks.that(
        "and the execution's name", execution.startswith("spaces/default/executions/"), execution
    )
    record = api.get("executions", execution.rsplit("/", 1)[1]).json()
    checks.equal("which can be read at once", record.get("trigger"), "CALL")
    checks.equal("with its log", record.get("logs", {}).get("stderr"), ["adding"])
    answer = suite.grpc.call(
        "executor",
        "Invoke",
        {
            "name": "spaces/default/functions/keys",
            "payload": {"content_type": "application/json", "data": "eyJ4IjoxLCJ5IjoyfQ=="},
        },
    )
    checks.equal("an exec function answers over gRPC", answer.payload.data, b'{"keys": ["x", "y"]}')
    checks.that("without an error", not answer.HasField("error"), to_dict(answer))
    raw = api.invoke("nothing", b"\x00\xff", content_type="application/octet-stream")
    checks.equal("bytes come back as they went", raw.body, b"\x00\xff")
    checks.equal("with their content type", raw.header("Content-Type"), "application/octet-stream")


def change_and_delete(suite, api, checks):
    before = api.get("functions", "greet").json()
    source = "def handle(ctx, payload):\n    return {'version': 2}\n"
    spec = {"process": {"runtime": "python3", "source": source}, "etag": before["etag"]}
    changed = api.update("functions", "greet", spec, mask="process")
    checks.status("a function can be changed", changed, 200)
    checks.equal("its version counts", int(changed.json()["version"]), 2)
    checks.equal(
        "the next call runs the new version", api.invoke("greet", {}).json(), {"version": 2}
    )
    checks.equal("its metadata stays", changed.json().get("metadata"), {"team": "web"})

    used = api.delete("functions", "greet")
    checks.status("a function in use cannot be deleted", used, 400)
    checks.contains("the error names the subscription", used.text(), "greet-users")
    gone = api.delete("subscriptions", "greet-users", force="true")
    checks.status("a subscription can be deleted", gone, 200)
    checks.status("then the function too", api.delete("functions", "greet"), 200)
    checks.status("and it is gone", api.get("functions", "greet"), 404)
    checks.status("a call of it is 404", api.invoke("greet", {}), 404)
    suite.grpc.call("functions", "DeleteFunction", {"name": "spaces/default/functions/keys"})
    checks.status("also when deleted over gRPC", api.get("functions", "keys"), 404)


def spaces_are_apart(suite, checks):
    other = Api(suite.http, "team-b")
    checks.status(
        "another space needs no creation", other.create_function("nothing", {"noop": {}}), 200
    )
    checks.status("with its own subscription", other.subscribe("all", "*", "nothing"), 200)
    receipt = other.publish("user.created", {}, event_id="b-1")
    checks.status("with its own events", receipt, 202)
    checks.eventually(
        "which reach its functions", lambda: len(other.executions(eventId="b-1")) == 1
    )
    default = Api(suite.http)
    checks.equal("and not another space's", default.executions(eventId="b-1"), [])
    wrong = Api(suite.http, "x").create_function("nothing", {"noop": {}})
    checks.status("a space id has 3 characters at least", wrong, 400)
    checks.that("the error names the field", violated_fields(wrong), wrong)


def test(suite, checks):
    server = FunctionServer()
    api = Api(suite.http)
    with checks.section("functions of every kind"):
        create_functions(suite, api, server, checks)
    with checks.section("subscriptions"):
        subscribe(suite, api, checks)
    with checks.section("an event reaches its functions"):
        publish_and_see(api, server, checks)
    with checks.section("filters"):
        filters_decide(api, server, checks)
    with checks.section("direct calls"):
        call_directly(suite, api, checks)
    with checks.section("schemas"):
        keep_to_schemas(api, checks)
    with checks.section("changes and deletions"):
        change_and_delete(suite, api, checks)
    with checks.section("spaces"):
        spaces_are_apart(suite, checks)
    server.close()


if __name__ == "__main__":
    run_with_suite(test)
