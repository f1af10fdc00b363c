"""The gateway without one or all of the services behind it: it serves what it can and names what is away."""

import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))

from penstock_test.api import Api
from penstock_test.checks import wait_until
from penstock_test.function_server import FunctionServer
from penstock_test.suite import run_with_suite


def unavailable(checks, what, response, service):
    if checks.status(f"{what} is 503", response, 503):
        checks.contains(f"{what} names the {service}", response.text(), service)


def gateway_alone(suite, api, checks):
    suite.start("gateway")
    http = suite.http
    checks.status("it is alive", http.get("/nothing/here"), 404)
    unavailable(checks, "publishing", api.publish("a.b", {}), "event-broker")
    unavailable(
        checks, "an Event header", http.post("/", "{}", headers={"Event": "a.b"}), "event-broker"
    )
    unavailable(checks, "reading events", http.get("/events"), "event-broker")
    unavailable(checks, "listing functions", api.get("functions"), "function-manager")
    unavailable(checks, "listing executions", api.get("executions"), "function-executor")
    unavailable(checks, "a call", api.invoke("f", {}), "function-executor")
    checks.status(
        "wrong input is still told", http.post("/events", "{}", headers={"Event": ""}), 400
    )
    health = suite.grpc.call("health", "Check", {})
    checks.equal("gRPC health says serving", health.status, 1)
    error = suite.grpc.error("functions", "ListFunctions", {"parent": "spaces/default"})
    checks.equal("gRPC calls are UNAVAILABLE", error.code().name, "UNAVAILABLE")
    error = suite.grpc.error("penstock.internal.v1.RouteService", "WatchRoutes", {})
    checks.equal("internal calls are refused", error.code().name, "UNIMPLEMENTED")


def services_arrive(suite, api, checks):
    suite.start("function-manager", "function-executor", "event-broker")
    checks.eventually(
        "functions can be made once they are there", lambda: api.get("functions").status == 200
    )
    checks.eventually("events too", lambda: suite.http.get("/events").status == 200)
    created = api.create_function("echo", {"noop": {}})
    checks.status("a function", created, 200)
    checks.eventually("calls reach it", lambda: api.invoke("echo", {"a": 1}).status == 200)


def broker_lost(suite, api, server, checks):
    api.create_http("keep", f"{server.url}/keep")
    checks.status("a subscription", api.subscribe("keep", "keep.*", "keep"), 200)
    path = {"http": {"method": "GET", "path": "/hello/:name"}, "function": "echo-http"}
    api.create_http("echo-http", f"{server.url}/hello")
    checks.status("a path", api.create_subscription("hello", path), 200)
    checks.status("answers", suite.http.get("/hello/ada"), 200)
    suite.kill("event-broker")
    unavailable(checks, "publishing without a broker", api.publish("keep.one", {}), "event-broker")
    for _ in range(5):
        checks.status("a known path still answers", suite.http.get("/hello/ada"), 200)
    checks.status("calls still answer", api.invoke("echo", {}), 200)
    checks.status("functions are still listed", api.get("functions"), 200)
    unavailable(checks, "subscriptions", api.get("subscriptions"), "event-broker")
    suite.start("event-broker")
    wait_until(lambda: api.publish("keep.one", {}, "back-1").status == 202, 20, "publishing again")
    checks.eventually("events flow again", lambda: "back-1" in server.ids("/keep"))


def manager_lost(suite, api, server, checks):
    suite.kill("function-manager")
    checks.status("calls go on without the manager", api.invoke("echo", {}), 200)
    checks.status("events too", api.publish("keep.one", {}, "nm-1"), 202)
    checks.eventually("and are delivered", lambda: "nm-1" in server.ids("/keep"))
    unavailable(
        checks, "making functions", api.create_function("more", {"noop": {}}), "function-manager"
    )
    refused = api.subscribe("more", "more.*", "echo")
    unavailable(checks, "making subscriptions", refused, "function-manager")
    suite.start("function-manager")
    # The broker finds it again by itself; whoever asks meanwhile waits a moment and gets an answer.
    checks.status("subscriptions can be made at once", api.subscribe("more", "more.*", "echo"), 200)
    checks.eventually(
        "functions can be made again", lambda: api.create_function("m2", {"noop": {}}).status == 200
    )
    checks.eventually("and called", lambda: api.invoke("m2", {}).status == 200)


def executor_lost(suite, api, server, checks):
    suite.kill("function-executor")
    for number in range(20):
        receipt = api.publish("keep.one", {}, f"ne-{number}")
        if receipt.status != 202:
            checks.status("events are taken without the executor", receipt, 202)
    unavailable(checks, "calls", api.invoke("echo", {}), "function-executor")
    unavailable(checks, "a path", suite.http.get("/hello/ada"), "function-executor")
    suite.start("function-executor")
    expected = {f"ne-{number}" for number in range(20)}
    checks.eventually("what waited is delivered", lambda: expected <= set(server.ids("/keep")), 30)
    checks.equal("nothing became a dead letter", api.dead_letters(), [])
    checks.eventually("calls are answered again", lambda: api.invoke("echo", {}).status == 200)


def test(suite, checks):
    server = FunctionServer()
    api = Api(suite.http)
    with checks.section("the gateway alone"):
        gateway_alone(suite, api, checks)
    with checks.section("the services arrive"):
        services_arrive(suite, api, checks)
    with checks.section("the broker is lost"):
        broker_lost(suite, api, server, checks)
    with checks.section("the function-manager is lost"):
        manager_lost(suite, api, server, checks)
    with checks.section("the executor is lost"):
        executor_lost(suite, api, server, checks)
    server.close()


if __name__ == "__main__":
    run_with_suite(test, started=False, needs_shape="services")
