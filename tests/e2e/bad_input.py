"""A table of wrong requests: each is refused with a 4xx that names what is wrong, and changes nothing."""

import json
import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))

from penstock_test.api import Api, cloud_event, violated_fields
from penstock_test.suite import run_with_suite

FUNCTIONS = "/api/v1/spaces/default/functions"
SUBSCRIPTIONS = "/api/v1/spaces/default/subscriptions"
NOOP = {"noop": {}}


def function(**spec):
    return "POST", f"{FUNCTIONS}?functionId=new", spec


def subscription(**spec):
    return (
        "POST",
        f"{SUBSCRIPTIONS}?subscriptionId=new",
        {"function": "f", "eventType": "a", **spec},
    )


# What is wrong, request, the status, and what the answer must name.
MANAGEMENT = [
    ("malformed JSON", ("POST", f"{FUNCTIONS}?functionId=new", '{"noop": '), 400, ""),
    ("an empty body", ("POST", f"{FUNCTIONS}?functionId=new", ""), 400, ""),
    ("an array for an object", ("POST", f"{FUNCTIONS}?functionId=new", "[]"), 400, ""),
    ("an unknown field", function(noop={}, colour="red"), 400, "colour"),
    ("an unknown nested field", function(http={"url": "http://a/", "uri": "x"}), 400, "uri"),
    ("a number for a string", function(noop={}, description=7), 400, "description"),
    ("a string for a number", function(noop={}, maxConcurrency="many"), 400, "maxConcurrency"),
    ("a wrong duration", function(noop={}, timeout="soon"), 400, "timeout"),
    ("a timeout out of range", function(noop={}, timeout="3600s"), 400, "timeout"),
    ("a wrong enum value", function(http={"url": "http://a/", "format": "XML"}), 400, "format"),
    ("an unknown query parameter", ("POST", f"{FUNCTIONS}?functionId=new&dry=1", NOOP), 400, "dry"),
    ("no driver", function(description="x"), 400, "driver"),
    ("two drivers", function(noop={}, http={"url": "http://a/"}), 400, ""),
    ("a URL without a scheme", function(http={"url": "localhost/x"}), 400, "url"),
    ("a URL of another scheme", function(http={"url": "ftp://a/x"}), 400, "url"),
    (
        "a hop-by-hop header",
        function(http={"url": "http://a/", "headers": {"Upgrade": "x"}}),
        400,
        "headers",
    ),
    ("an unknown runtime", function(process={"runtime": "cobol", "source": "x"}), 400, "runtime"),
    ("no source", function(process={"runtime": "python3"}), 400, "source"),
    (
        "a handler that is no name",
        function(process={"runtime": "python3", "source": "x", "handler": "a b"}),
        400,
        "handler",
    ),
    (
        "an environment for another driver",
        function(noop={}, environment={"A": "b"}),
        400,
        "environment",
    ),
    ("no function id", ("POST", FUNCTIONS, NOOP), 400, "function"),
    ("an id with a slash", ("POST", f"{FUNCTIONS}?functionId=a%2Fb", NOOP), 400, "function"),
    ("an over-long id", ("POST", f"{FUNCTIONS}?functionId={'a' * 64}", NOOP), 400, "function"),
    ("an id that is taken", ("POST", f"{FUNCTIONS}?functionId=f", NOOP), 409, "f"),
    (
        "a space that is too short",
        ("POST", "/api/v1/spaces/ab/functions?functionId=new", NOOP),
        400,
        "",
    ),
    ("a large description", function(noop={}, description="x" * 1025), 400, "description"),
    ("an unknown function", ("GET", f"{FUNCTIONS}/nobody", None), 404, "nobody"),
    ("an update of nothing", ("PATCH", f"{FUNCTIONS}/nobody", NOOP), 404, "nobody"),
    (
        "a stale etag",
        ("PATCH", f"{FUNCTIONS}/f", {"description": "x", "etag": "stale"}),
        409,
        "etag",
    ),
    ("a deletion with a stale etag", ("DELETE", f"{FUNCTIONS}/f?etag=stale", None), 409, "etag"),
    (
        "an unknown field in a mask",
        ("PATCH", f"{FUNCTIONS}/f?updateMask=colour", {"description": "x"}),
        400,
        "colour",
    ),
    ("a function in use", ("DELETE", f"{FUNCTIONS}/f", None), 400, "s"),
    ("an unknown page token", ("GET", f"{FUNCTIONS}?pageToken=zzz", None), 400, "page"),
    ("a negative page size", ("GET", f"{FUNCTIONS}?pageSize=-1", None), 400, "page"),
    ("a subscription of an unknown function", subscription(function="nobody"), 400, "nobody"),
    ("a subscription without a function", subscription(function=""), 400, "function"),
    ("a subscription without a type", subscription(eventType=""), 400, "eventType"),
    ("a pattern with four stars", subscription(eventType="*a*b*c*"), 400, "eventType"),
    (
        "a filter of two kinds",
        subscription(filters=[{"exact": {"a": "b"}, "prefix": {"a": "b"}}]),
        400,
        "filters",
    ),
    ("an empty filter", subscription(filters=[{}]), 400, "filters"),
    (
        "an attempt limit out of range",
        subscription(retry={"maxAttempts": 5000}),
        400,
        "maxAttempts",
    ),
    ("a window out of range", subscription(maxInFlight=5000), 400, "maxInFlight"),
    ("both a type and a path", subscription(http={"path": "/x"}), 400, "eventType"),
    ("a path without a slash", subscription(eventType="", http={"path": "x"}), 400, "path"),
    ("a reserved path", subscription(eventType="", http={"path": "/api/x"}), 400, "path"),
    (
        "an unknown method of a path",
        subscription(eventType="", http={"path": "/x", "method": "GO"}),
        400,
        "method",
    ),
    (
        "a stale etag of a subscription",
        ("DELETE", f"{SUBSCRIPTIONS}/s?etag=stale", None),
        409,
        "etag",
    ),
    ("an unknown subscription", ("GET", f"{SUBSCRIPTIONS}/nobody", None), 404, "nobody"),
    (
        "an unknown execution",
        ("GET", "/api/v1/spaces/default/executions/nobody", None),
        404,
        "nobody",
    ),
    (
        "an unknown dead letter",
        ("GET", "/api/v1/spaces/default/deadLetters/nobody", None),
        404,
        "nobody",
    ),
    ("a redrive of nothing", ("POST", "/api/v1/spaces/default/deadLetters:redrive", {}), 400, ""),
    (
        "an unknown state",
        ("GET", "/api/v1/spaces/default/executions?state=DONE", None),
        400,
        "state",
    ),
    ("an unknown path below /api", ("GET", "/api/v1/spaces/default/things", None), 404, ""),
    ("an unknown verb", ("POST", f"{FUNCTIONS}/f:dance", {}), 405, ""),
    ("an unknown function's call", ("POST", f"{FUNCTIONS}/nobody:invoke", {}), 404, "nobody"),
]


def event_headers(**changes):
    headers = {"ce-specversion": "1.0", "ce-id": "x", "ce-source": "/test", "ce-type": "bad.input"}
    headers["Content-Type"] = "application/json"
    headers.update({name.replace("_", "-"): value for name, value in changes.items()})
    return {name: value for name, value in headers.items() if value is not None}


def structured(event):
    body = event if isinstance(event, str) else json.dumps(event)
    return body, {"Content-Type": "application/cloudevents+json"}


def event_without(name):
    event = cloud_event("bad.input", {"a": 1})
    del event[name]
    return event


# What is wrong, body and headers, the status, and what the answer must name.
EVENTS = [
    ("no source", ("{}", event_headers(ce_source=None)), 400, "source"),
    ("no type", ("{}", event_headers(ce_type=None)), 400, "type"),
    ("another version", ("{}", event_headers(ce_specversion="0.3")), 400, "specversion"),
    ("a wrong time", ("{}", event_headers(ce_time="yesterday")), 400, "time"),
    ("an attribute with a dash", ("{}", event_headers(**{"ce_my-attr": "x"})), 400, "my-attr"),
    ("no event at all", ("{}", {"Content-Type": "application/json"}), 400, ""),
    ("a structured event without type", structured(event_without("type")), 400, "type"),
    (
        "a structured event without version",
        structured(event_without("specversion")),
        400,
        "specversion",
    ),
    ("a structured event that is cut", structured('{"specversion":"1.0","id"'), 400, ""),
    ("a structured array", structured("[]"), 400, ""),
    ("a number as id", structured({**cloud_event("bad.input"), "id": 7}), 400, "id"),
    ("an object as attribute", structured({**cloud_event("bad.input"), "ext": {}}), 400, "ext"),
    (
        "both data and data_base64",
        structured({**cloud_event("bad.input", 1), "data_base64": "AA=="}),
        400,
        "data",
    ),
    (
        "wrong base64",
        structured({**cloud_event("bad.input"), "data_base64": "?"}),
        400,
        "data_base64",
    ),
    ("an over-long type", structured(cloud_event("t" * 3000)), 400, "type"),
    (
        "protobuf that is none",
        (b"\xff\xff\xff", {"Content-Type": "application/cloudevents+protobuf"}),
        400,
        "",
    ),
    (
        "a format nobody knows",
        ("<x/>", {"Content-Type": "application/cloudevents+xml"}),
        415,
        "cloudevents+json",
    ),
    ("a body over the limit", ("x" * ((1 << 20) + 100), event_headers()), 413, ""),
    (
        "a batch that is an object",
        ("{}", {"Content-Type": "application/cloudevents-batch+json"}),
        400,
        "",
    ),
]


def refused(checks, what, response, status, named):
    good = checks.status(f"{what} is {status}", response, status)
    if not good:
        return
    try:
        body = response.json()
        fields = " ".join(field or "" for field in violated_fields(response))
    except ValueError as error:
        checks.that(f"{what}: the body is JSON", False, f"{error}: {response}")
        return
    told = f"{body.get('message', '')} {fields}"
    checks.that(
        f"{what}: names {named or 'what is wrong'}",
        body.get("message") and _named(named, told),
        body,
    )
    checks.that(f"{what}: has a code", isinstance(body.get("code"), int) and body["code"] > 0, body)


def _named(part, text):
    """Both spellings of a field are fine: the JSON one and the proto's."""
    snake = "".join(f"_{c.lower()}" if c.isupper() else c for c in part)
    return part in text or snake in text


def state_of(suite):
    """Everything that a wrong request could have changed."""
    api = Api(suite.http)
    return {
        "functions": api.get("functions").json(),
        "subscriptions": api.get("subscriptions").json(),
        "events": [
            event["sequence"]
            for event in suite.http.get("/events?pageSize=1000").json().get("events", [])
        ],
        "executions": len(api.executions()),
    }


def protocol(suite, checks):
    http = suite.http
    wrong = http.request("PUT", f"{FUNCTIONS}/f", "{}")
    checks.status("a wrong method is 405", wrong, 405)
    allow = wrong.header("Allow", "")
    checks.that("it says which are right", "GET" in allow and "PATCH" in allow, allow)
    checks.status("a wrong method on /events is 405", http.request("PUT", "/events", "{}"), 405)
    text = http.post(f"{FUNCTIONS}?functionId=new", "{}", headers={"Content-Type": "text/plain"})
    checks.status("a write that is not JSON is 415", text, 415)
    cross = {"Content-Type": "application/json", "Origin": "http://evil.example"}
    checks.status(
        "a web page of another site is 403",
        http.post(f"{FUNCTIONS}?functionId=new", "{}", headers=cross),
        403,
    )
    rebound = http.get(FUNCTIONS, headers={"Host": "evil.example"})
    checks.that("an unknown Host is refused", rebound.status in (400, 403, 421), rebound)
    checks.status("an unknown path is 404", http.get("/nothing"), 404)
    checks.that("as JSON", http.get("/nothing").json().get("message"), http.get("/nothing"))
    deep = "[" * 100000 + "]" * 100000
    nested = http.post(
        f"{FUNCTIONS}?functionId=new", deep, headers={"Content-Type": "application/json"}
    )
    checks.status("deeply nested JSON is refused", nested, 400)
    internal = suite.grpc
    for path in (
        "/penstock.internal.v1.RouteService/WatchRoutes",
        "/penstock.internal.v1.InvocationService/ListLocalExecutions",
        "/penstock.events.v1.EventBrokerService/NoSuchCall",
        "/nobody.Service/Call",
    ):
        try:
            internal.raw(path)
            checks.that(f"{path} is refused", False)
        except Exception as error:  # pylint: disable=broad-except
            code = error.code().name if hasattr(error, "code") else str(error)
            checks.equal(f"{path} is refused", code, "UNIMPLEMENTED")


def over_grpc(suite, checks):
    """The same rules, as gRPC says them."""
    for what, service, method, request, code in (
        ("no parent", "functions", "CreateFunction", {"function_id": "x"}, "INVALID_ARGUMENT"),
        (
            "an unknown name",
            "functions",
            "GetFunction",
            {"name": "spaces/default/functions/no"},
            "NOT_FOUND",
        ),
        (
            "a malformed name",
            "functions",
            "GetFunction",
            {"name": "functions/no"},
            "INVALID_ARGUMENT",
        ),
        ("no event", "broker", "Publish", {}, "INVALID_ARGUMENT"),
        (
            "an event without id's source",
            "broker",
            "Publish",
            {"event": {"id": "x"}},
            "INVALID_ARGUMENT",
        ),
        ("an unknown event", "broker", "GetEvent", {"id": "nobody"}, "NOT_FOUND"),
        (
            "an unknown function's call",
            "executor",
            "Invoke",
            {"name": "spaces/default/functions/no"},
            "NOT_FOUND",
        ),
        (
            "what is not built yet",
            "catalog",
            "ListCorsPolicies",
            {"parent": "spaces/default"},
            "UNIMPLEMENTED",
        ),
    ):
        error = suite.grpc.error(service, method, request)
        checks.equal(f"gRPC: {what}", error.code().name, code)


def test(suite, checks):
    api = Api(suite.http)
    checks.status("a function", api.create_function("f", NOOP), 200)
    checks.status("a subscription", api.subscribe("s", "some.type", "f"), 200)
    before = state_of(suite)
    with checks.section("management"):
        for what, (method, path, body), status, named in MANAGEMENT:
            headers = {"Content-Type": "application/json"} if body is not None else {}
            text = body if isinstance(body, (str, type(None))) else json.dumps(body)
            refused(checks, what, suite.http.request(method, path, text, headers), status, named)
    with checks.section("events"):
        for what, (body, headers), status, named in EVENTS:
            refused(checks, what, suite.http.post("/events", body, headers=headers), status, named)
    with checks.section("the protocol"):
        protocol(suite, checks)
    with checks.section("gRPC"):
        over_grpc(suite, checks)
    with checks.section("nothing was changed"):
        after = state_of(suite)
        for part, value in before.items():
            checks.equal(part, after[part], value)


if __name__ == "__main__":
    run_with_suite(test)
