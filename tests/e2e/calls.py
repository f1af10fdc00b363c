"""Synchronous calls: `:invoke`, `/_invoke`, errors by category, and the paths of the front door."""

import base64
import json
import pathlib
import sys
import tempfile

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))

from penstock_test.api import Api
from penstock_test.function_server import Answer, FunctionServer
from penstock_test.suite import run_with_suite

SHAPES = """
import penstock

def handle(ctx, payload):
    kind = payload.get("kind") if isinstance(payload, dict) else payload
    if kind == "input":
        raise penstock.InputError("the amount must be positive")
    if kind == "bug":
        return {}["missing"]
    if kind == "status":
        return {"statusCode": 418, "headers": {"X-Pot": "tea"}, "body": "short and stout"}
    if kind == "base64":
        return {"statusCode": 200, "headers": {"Content-Type": "image/x"}, "body": "AAH/", "isBase64": True}
    if kind == "text":
        return "just text"
    return {"kind": kind, "caller": ctx.get("executionId") is not None}
"""
REST = """
def handle(ctx, payload):
    http = ctx["http"]
    return {
        "statusCode": 200,
        "headers": {"Content-Type": "application/json"},
        "body": __import__("json").dumps({
            "method": http["method"], "path": http["path"], "params": http["params"],
            "query": http["query"], "agent": http["headers"].get("x-agent"), "payload": payload,
        }),
    }
"""


def error_of(response):
    details = response.json().get("details", [])
    reasons = [detail.get("reason") for detail in details if "ErrorInfo" in detail.get("@type", "")]
    return response.header("Penstock-Error"), (reasons or [None])[0]


def answers(api, checks):
    plain = api.invoke("shapes", {"kind": "x"})
    checks.status("an object without statusCode is the body", plain, 200)
    checks.equal("as it is", plain.json(), {"kind": "x", "caller": True})
    custom = api.invoke("shapes", {"kind": "status"})
    checks.status("an object with statusCode is the response", custom, 418)
    checks.equal("with its headers", custom.header("X-Pot"), "tea")
    checks.equal("and its body", custom.text(), "short and stout")
    binary = api.invoke("shapes", {"kind": "base64"})
    checks.equal("base64 becomes bytes", binary.body, b"\x00\x01\xff")
    checks.equal("with their content type", binary.header("Content-Type"), "image/x")
    checks.equal("a string is JSON", api.invoke("shapes", {"kind": "text"}).json(), "just text")


def errors(suite, api, checks):
    for kind, status, category, name in (
        ("input", 400, "InputError", "InputError"),
        ("bug", 502, "FunctionError", "KeyError"),
    ):
        failed = api.invoke("shapes", {"kind": kind})
        checks.status(f"{category} answers {status}", failed, status)
        checks.equal(f"{category}: header and reason", error_of(failed), (category, name))
        checks.that(
            f"{category}: execution named", failed.header("Penstock-Execution"), failed.headers
        )
    answer = suite.grpc.call(
        "executor",
        "Invoke",
        {
            "name": "spaces/default/functions/shapes",
            "payload": {"content_type": "application/json", "data": "eyJraW5kIjoiYnVnIn0="},
        },
    )
    checks.equal("over gRPC the call is OK with an error", answer.error.type, "KeyError")
    checks.that("and a stack trace", answer.error.stacktrace, answer)
    down = api.invoke("down", {})
    checks.status("a function that cannot be reached answers 503", down, 503)
    checks.equal("as a SystemError", error_of(down), ("SystemError", "ConnectFailed"))
    slow = api.invoke("slow", {}, timeout=20)
    checks.status("a function that takes too long answers 504", slow, 504)
    checks.equal("as a timeout", error_of(slow)[1], "Timeout")
    hurried = suite.http.post(
        f"{api.root}/functions/patient:invoke", "{}", headers={"Grpc-Timeout": "200m"}, timeout=20
    )
    checks.status("a caller's own limit (Grpc-Timeout) answers 504 too", hurried, 504)
    wrong = suite.http.post(f"{api.root}/functions/patient:invoke", "{}", headers={"Grpc-Timeout": "x"})
    checks.status("a limit that is none is refused", wrong, 400)
    refused = api.invoke("http-422", {})
    checks.status("422 of an HTTP function is an InputError", refused, 400)
    checks.equal("by its header", error_of(refused), ("InputError", "HttpStatus"))
    broken = api.invoke("http-500", {})
    checks.status("500 of an HTTP function is a FunctionError", broken, 502)
    checks.equal("with its header", error_of(broken), ("FunctionError", "HttpStatus"))
    checks.contains("and the status in the message", broken.json()["message"], "500")


def batches(suite, api, checks):
    def call(function, payload):
        data = base64.b64encode(json.dumps(payload).encode()).decode()
        body = {"contentType": "application/json", "data": data}
        return {"name": f"spaces/default/functions/{function}", "payload": body}

    path = f"{api.root}/functions:batchInvoke"
    several = {"requests": [call("shapes", {"kind": "x"}), call("nobody", 1), call("shapes", {"kind": "input"})]}
    answer = suite.http.post(path, json_body=several)
    checks.status("several calls at once", answer, 200)
    results = answer.json()["results"]
    payload = json.loads(base64.b64decode(results[0]["response"]["payload"]["data"]))
    checks.equal("each has its answer", payload["kind"], "x")
    checks.equal("or its status", results[1]["status"]["code"], 5)
    checks.equal("or its error", results[2]["response"]["error"]["category"], "InputError")
    wrong = suite.http.post(path, json_body={"requests": [call("shapes", 1), {"name": "shapes"}]})
    checks.status("a call that names no function", wrong, 400)
    checks.contains("is told by its place", wrong.text(), "requests[1].name")

    with tempfile.NamedTemporaryFile("w", suffix=".jsonl") as lines:
        lines.writelines(f'{{"kind": "{number}"}}\n' for number in range(150))
        lines.write('{"kind": "input"}\n')
        lines.flush()
        done = suite.cli("function", "invoke", "shapes", "--batch", lines.name)
    printed = done.stdout.split("\n")
    checks.equal("a file of calls: a line of output for each", len(printed), 152)
    kinds = [json.loads(line)["kind"] for line in printed[:150]]
    checks.equal("in order", kinds, [str(number) for number in range(150)])
    checks.contains("what failed is named by its line", done.stderr, "line 151: error: InputError")
    checks.equal("and tells by the exit code", done.returncode, 4)


def founding_invoke(suite, checks):
    http = suite.http
    called = http.post(
        "/_invoke",
        '{"kind":"x"}',
        headers={"Function-ID": "shapes", "Content-Type": "application/json"},
    )
    checks.status("/_invoke by header", called, 200)
    checks.equal("gives the answer", called.json()["kind"], "x")
    by_query = http.post(
        "/_invoke?functionId=shapes", '{"kind":"y"}', headers={"Content-Type": "application/json"}
    )
    checks.equal("/_invoke by query", by_query.json().get("kind"), "y")
    missing = http.post("/_invoke", "{}", headers={"Content-Type": "application/json"})
    checks.status("/_invoke without a function", missing, 400)
    checks.contains("names the header", missing.text(), "Function-ID")
    unknown = http.post("/_invoke", "{}", headers={"Function-ID": "nobody"})
    checks.status("/_invoke of an unknown function", unknown, 404)
    checks.contains("names it", unknown.text(), "nobody")
    checks.status("/_emit without an event", http.post("/_emit", "{}"), 400)


def route(api, name, method, path, function="rest", **more):
    spec = {"http": {"method": method, "path": path, **more}, "function": function}
    return api.create_subscription(name, spec)


def routes(suite, api, checks):
    http = suite.http
    checks.status("a path of the front door", route(api, "r-get", "GET", "/users/:id"), 200)
    answer = http.get("/users/42?a=1&a=2", headers={"X-Agent": "me"})
    checks.status("answers at once", answer, 200)
    seen = answer.json()
    checks.equal("its parameters", seen["params"], {"id": "42"})
    checks.equal("its query", seen["query"], {"a": ["1", "2"]})
    checks.equal("its headers", seen["agent"], "me")
    checks.equal("its method and path", (seen["method"], seen["path"]), ("GET", "/users/42"))
    route(api, "r-static", "GET", "/users/me", "shapes")
    checks.status("a static segment goes first", http.get("/users/me"), 200)
    checks.that("and takes the request", "params" not in http.get("/users/me").json())
    checks.equal(
        "the parameter still takes others", http.get("/users/you").json()["params"], {"id": "you"}
    )
    route(api, "r-rest", "POST", "/files/*rest")
    sent = http.post("/files/a/b%20c.txt", '{"x":1}', headers={"Content-Type": "application/json"})
    checks.equal("the rest of a path", sent.json()["params"], {"rest": "a/b c.txt"})
    checks.equal("a JSON body is the payload", sent.json()["payload"], {"x": 1})
    route(api, "r-host", "GET", "/users/:id", "shapes", host="api.example.org")
    hosted = http.get("/users/7", headers={"Host": "api.example.org"})
    checks.that("a route for a host goes first", "params" not in hosted.json(), hosted)
    head = http.request("HEAD", "/users/1")
    checks.that("HEAD is answered by GET's route", head.status == 200 and not head.body, head)
    checks.status("another method has no route", http.delete("/users/42"), 404)
    checks.status("another path has no route", http.get("/nothing/here"), 404)
    taken = route(api, "r-again", "GET", "/users/:name")
    checks.that("a path belongs to one subscription", taken.status in (400, 409), taken)
    checks.contains("whose name is told", taken.text(), "r-get")
    other = route(Api(suite.http, "other-space"), "r-other", "GET", "/users/:x")
    checks.that("over all spaces", other.status in (400, 404, 409), other)
    http.delete(f"{api.root}/subscriptions/r-rest")
    checks.status("a deleted route is gone", http.post("/files/a", "{}"), 404)


def routes_of_http_functions(suite, api, server, checks):
    server.plan(
        "/shop",
        lambda call: Answer(201, call.body, {"X-From": "shop", "Content-Type": "text/plain"}),
    )
    api.create_http("shop", f"{server.url}/shop")
    route(api, "r-shop", "PUT", "/shop/:item", "shop")
    headers = {"Content-Type": "text/plain", "X-Trace": "7"}
    answer = suite.http.request("PUT", "/shop/9", "as it is", headers=headers)
    checks.status("an HTTP function's status passes", answer, 201)
    checks.equal("and its body", answer.text(), "as it is")
    checks.equal("and its headers", answer.header("X-From"), "shop")
    call = server.calls("/shop")[0]
    checks.equal("it gets the method", call.method, "PUT")
    checks.equal("and the headers", call.headers.get("x-trace"), "7")
    checks.equal("and the path", call.headers.get("penstock-http-path"), "/shop/9")
    server.plan("/shop", Answer(404, b"no such item"))
    answer = suite.http.request("PUT", "/shop/0", "x")
    checks.status("its 404 passes too", answer, 404)
    checks.equal("with its body", answer.text(), "no such item")


def failing_routes(suite, api, checks):
    route(api, "r-bug", "POST", "/bug", "shapes")
    answer = suite.http.post(
        "/bug", json.dumps({"kind": "bug"}), headers={"Content-Type": "application/json"}
    )
    checks.status("a failing function behind a path", answer, 502)
    checks.equal("has the same header", answer.header("Penstock-Error"), "FunctionError")
    route(api, "r-down", "GET", "/down", "down")
    checks.status("an unreachable one is 503", suite.http.get("/down"), 503)


def test(suite, checks):
    server = FunctionServer()
    api = Api(suite.http)
    with checks.section("functions"):
        server.plan("/422", Answer(422, b"wrong"))
        server.plan("/500", Answer(500, b"broken"))
        server.plan("/slow", Answer(misbehave="hang"))
        created = [
            api.create_python("shapes", SHAPES),
            api.create_python("rest", REST),
            api.create_http("down", "http://127.0.0.1:1/"),
            api.create_http("slow", f"{server.url}/slow", timeout="0.3s"),
            api.create_http("patient", f"{server.url}/slow"),
            api.create_http("http-422", f"{server.url}/422"),
            api.create_http("http-500", f"{server.url}/500"),
        ]
        checks.equal("all are created", [answer.status for answer in created], [200] * 7)
    with checks.section("answers"):
        answers(api, checks)
    with checks.section("errors"):
        errors(suite, api, checks)
    with checks.section("batches"):
        batches(suite, api, checks)
    with checks.section("the founding surface"):
        founding_invoke(suite, checks)
    with checks.section("paths"):
        routes(suite, api, checks)
    with checks.section("paths of HTTP functions"):
        routes_of_http_functions(suite, api, server, checks)
    with checks.section("paths whose function fails"):
        failing_routes(suite, api, checks)
    server.close()


if __name__ == "__main__":
    run_with_suite(test)
