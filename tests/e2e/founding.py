"""The founding document's quick start as its old clients speak it: /v1 on the configuration port, `Event` headers."""

import concurrent.futures
import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))

from penstock_test.api import Api
from penstock_test.function_server import Answer, FunctionServer
from penstock_test.http_client import HttpClient
from penstock_test.suite import run_with_suite


def functions(config, server, checks):
    hello = {"functionId": "hello", "provider": {"type": "http", "url": f"{server.url}/hello"}}
    made = config.post("/v1/functions", json_body=hello)
    checks.status("registering a function", made, 200)
    checks.equal("gives the same object", made.json(), hello)
    again = config.post("/v1/functions", json_body=hello)
    checks.that("twice is an error", again.status >= 400, again)
    checks.equal(
        "with the old text", again.json(), {"error": 'Function "hello" already registered.'}
    )
    no_url = config.post(
        "/v1/functions", json_body={"functionId": "nourl", "provider": {"type": "http"}}
    )
    checks.that("without a URL is an error", no_url.status == 400, no_url)
    checks.contains("with the old text", no_url.json()["error"], "Missing required fields")
    cloud = {"functionId": "cloud", "provider": {"type": "awslambda", "arn": "a", "region": "b"}}
    refused = config.post("/v1/functions", json_body=cloud)
    checks.status("a provider that is not supported", refused, 400)
    checks.contains("is named", refused.json()["error"], "awslambda")
    listed = config.get("/v1/functions")
    checks.equal("functions are listed", listed.json(), {"functions": [hello]})
    missing = config.delete("/v1/functions/missing-func")
    checks.status("deleting an unknown one", missing, 404)
    checks.equal(
        "has the old text", missing.json(), {"error": 'Function "missing-func" not found.'}
    )
    json_type = {"Content-Type": "application/json"}
    checks.status("malformed JSON", config.post("/v1/functions", "{", headers=json_type), 400)
    checks.status("a body that is not JSON", config.post("/v1/functions", "{"), 415)


def subscriptions(config, checks):
    wanted = {"event": "pageVisited", "functionId": "hello"}
    made = config.post("/v1/subscriptions", json_body=wanted)
    checks.status("subscribing", made, 200)
    expected = {**wanted, "subscriptionId": "pageVisited-hello"}
    checks.equal("gives the subscription with its id", made.json(), expected)
    unknown = config.post("/v1/subscriptions", json_body={"event": "a", "functionId": "x"})
    checks.that("an unknown function is an error", unknown.status >= 400, unknown)
    checks.equal("with the old text", unknown.json(), {"error": 'Function "x" not found.'})
    listed = config.get("/v1/subscriptions").json()
    checks.equal("subscriptions are listed", listed, {"subscriptions": [expected]})
    route = {"event": "http", "functionId": "hello", "method": "GET", "path": "/old/:name"}
    made = config.post("/v1/subscriptions", json_body=route)
    checks.status("a path", made, 200)
    checks.equal("keeps method and path", {**made.json(), **route}, made.json())
    used = config.delete("/v1/functions/hello")
    checks.status("a function in use is kept", used, 400)
    checks.that("and the error says so", "error" in used.json(), used)


def events(suite, server, checks):
    http = suite.http
    for kind, body in (
        ("application/json", b'{"foo":"bar"}'),
        ("text/plain", b"text"),
        ("application/octet-stream", b"\x00\xff"),
    ):
        server.forget()
        sent = http.post("/", body, headers={"Event": "pageVisited", "Content-Type": kind})
        checks.status(f"an event of {kind}", sent, 202)
        calls = checks.eventually("reaches its function", lambda: server.calls("/hello"))
        if calls:
            checks.equal("as it was sent", calls[0].body, body)
    server.plan("/hello", Answer(200, b"called"))
    headers = {"Event": "invoke", "Function-ID": "hello", "Content-Type": "application/json"}
    called = http.post("/", "{}", headers=headers)
    checks.status("the invoke event", called, 200)
    checks.equal("gives the function's answer", called.text(), "called")
    unknown = http.post("/", "{}", headers={**headers, "Function-ID": "nobody"})
    checks.that("of an unknown function is an error", unknown.status >= 400, unknown)
    checks.equal("a path answers", http.get("/old/ada").text(), "called")


def in_parallel(config, server, checks):
    """The old client creates everything at once."""

    def make(number):
        name = f"p{number}"
        url = f"{server.url}/p"
        made = config.post(
            "/v1/functions",
            json_body={"functionId": name, "provider": {"type": "http", "url": url}},
        )
        linked = config.post(
            "/v1/subscriptions", json_body={"event": f"e{number}", "functionId": name}
        )
        return made.status, linked.status

    with concurrent.futures.ThreadPoolExecutor(16) as pool:
        results = list(pool.map(make, range(32)))
    checks.equal("32 functions and subscriptions at once", set(results), {(200, 200)})
    checks.equal(
        "all are listed",
        len([one for one in config.get("/v1/functions").json()["functions"]]),
        33,
    )


def deletion(suite, config, checks):
    for one in config.get("/v1/subscriptions").json()["subscriptions"]:
        gone = config.delete(f"/v1/subscriptions/{one['subscriptionId']}")
        if gone.status != 204:
            checks.status(f"deleting {one['subscriptionId']}", gone, 204)
    checks.equal(
        "all subscriptions go", config.get("/v1/subscriptions").json(), {"subscriptions": []}
    )
    checks.status("then the function", config.delete("/v1/functions/hello"), 204)
    missing = config.delete("/v1/subscriptions/x-y")
    checks.equal("an unknown one", missing.json(), {"error": 'Subscription "x-y" not found.'})
    checks.status("the new surface agrees", Api(suite.http).get("functions", "hello"), 404)


def test(suite, checks):
    server = FunctionServer()
    config = HttpClient(suite.ports["config"])
    with checks.section("functions"):
        functions(config, server, checks)
    with checks.section("subscriptions"):
        subscriptions(config, checks)
    with checks.section("events"):
        events(suite, server, checks)
    with checks.section("in parallel"):
        in_parallel(config, server, checks)
    with checks.section("deletion"):
        deletion(suite, config, checks)
    server.close()


if __name__ == "__main__":
    run_with_suite(test)
