"""The middleware that works outside the executor: jq programs, and a user's own gRPC service."""

import os
import pathlib
import subprocess
import sys
import threading
from concurrent import futures

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))

import grpc
from penstock_test.api import Api
from penstock_test.checks import wait_until
from penstock_test.grpc_client import contracts
from penstock_test.process import free_ports, source_dir
from penstock_test.suite import run_with_suite

SERVICE = "penstock.runtime.v1.MiddlewareService"
FOREVER = "def f: f; f"


def last_record(api, function):
    return api.executions(function=function, pageSize=1)[0]


def last_steps(api, function):
    steps = last_record(api, function).get("steps", [])
    return [f"{step['name']} {step['phase']} {step['effect']}" for step in steps]


def make(api, name, *steps, **spec):
    return api.create_function(name, {**(spec or {"noop": {}}), "middleware": list(steps)})


def transforms(api, checks):
    programs = {"before": "{id: .order.id}", "after": "{result: .}"}
    checks.status("a function with jq", make(api, "shaped", {"transform": programs}), 200)
    answer = api.invoke("shaped", {"order": {"id": "o-1"}, "more": [1, 2]})
    checks.equal("its answer", answer.json(), {"result": {"id": "o-1"}})
    steps = ["transform BEFORE changed", "transform AFTER changed"]
    checks.equal("its record", last_steps(api, "shaped"), steps)
    refusal = '.a | if . then . else error("a is missing") end'
    make(api, "strict", {"transform": {"before": refusal}})
    wrong = api.invoke("strict", {})
    checks.status("what a program raises is the caller's", wrong, 400)
    checks.contains("in its words", wrong.text(), "a is missing")
    checks.equal("its record", last_steps(api, "strict"), ["transform BEFORE refused"])
    checks.status("no JSON", api.invoke("strict", "text", content_type="text/plain"), 400)


def limits(api, checks):
    make(api, "endless", {"transform": {"before": FOREVER}})
    make(api, "hungry", {"transform": {"before": "[limit(1e9; repeat(1))] | length"}})
    answers = []

    def call_endless():
        answers.append(api.invoke("endless", {}))

    callers = [threading.Thread(target=call_endless) for _ in range(4)]
    for caller in callers:
        caller.start()
    others = [api.invoke("shaped", {"order": {"id": n}}).status for n in range(20)]
    checks.equal("beside a program that hangs others run", set(others), {200})
    for caller in callers:
        caller.join()
    checks.equal("it is ended", {answer.status for answer in answers}, {502})
    checks.contains("and says so", answers[0].text(), "TransformTimeout")
    hungry = api.invoke("hungry", {})
    checks.status("as is one that wants all memory", hungry, 502)
    checks.status("and the next call works", api.invoke("shaped", {"order": {"id": 1}}), 200)


def validation(api, checks):
    passed = {"timeout": {"timeout": "5s"}}
    wrong = make(api, "wrong", passed, {"transform": {"before": ".a |"}})
    checks.status("a program that does not compile is refused", wrong, 400)
    checks.contains("by its field", wrong.text(), "function.middleware[1].transform.before")
    checks.contains("with what jq says", wrong.text(), "syntax error")
    leaky = make(api, "wrong", {"transform": {"after": "env"}})
    checks.status("as is one that asks for the environment", leaky, 400)
    changed = api.update(
        "functions", "shaped", {"middleware": [{"transform": {"after": "nothing()"}}]}, "middleware"
    )
    checks.status("also in an update", changed, 400)
    target = make(api, "wrong", {"grpc": {"target": "nowhere"}})
    checks.status("a target without a port", target, 400)
    checks.contains("by its field", target.text(), "function.middleware[0].grpc.target")


class Service:
    """A MiddlewareService that does what a test says; as it is, it says nothing."""

    def __init__(self, port):
        asked, answered = (
            contracts().message(f"penstock.runtime.v1.ProcessCall{end}")
            for end in ("Request", "Response")
        )
        self.requests = []
        self.ending = threading.Event()
        self.script = lambda request, answer: None

        def process(request, context):
            self.requests.append(request)
            answer = answered()
            self.script(request, answer)
            return answer

        handler = grpc.unary_unary_rpc_method_handler(
            process,
            request_deserializer=asked.FromString,
            response_serializer=answered.SerializeToString,
        )
        self.server = grpc.server(futures.ThreadPoolExecutor(8))
        handlers = grpc.method_handlers_generic_handler(SERVICE, {"ProcessCall": handler})
        self.server.add_generic_rpc_handlers([handlers])
        self.server.add_insecure_port(f"127.0.0.1:{port}")
        self.server.start()

    def stop(self):
        self.ending.set()
        self.server.stop(None).wait()


def documented(suite, api, checks):
    """The service that the documentation shows."""
    policy = source_dir() / "docs" / "examples" / "middleware" / "policy.py"
    command = ["protoc", "-I", source_dir() / "proto", "--include_imports"]
    command += ["--descriptor_set_out=runtime.pb", "penstock/runtime/v1/runtime.proto"]
    subprocess.run(command, check=True, cwd=suite.folder)
    (port,) = free_ports(1)
    environment = {**os.environ, "LISTEN": f"127.0.0.1:{port}"}
    with subprocess.Popen(
        ["/usr/bin/python3", policy], cwd=suite.folder, env=environment
    ) as service:
        try:
            make(api, "order", {"grpc": {"target": f"127.0.0.1:{port}", "timeout": "10s"}})
            wait_until(
                lambda: api.invoke("order", {"amount": 1}).status == 200, 20, "the service answers"
            )
            answer = api.invoke("order", {"amount": 2})
            wanted = {"amount": 2, "caller": "nobody", "checked": True}
            checks.equal("it changes what goes in and out", answer.json(), wanted)
            steps = ["grpc BEFORE changed", "grpc AFTER changed"]
            checks.equal("its record", last_steps(api, "order"), steps)
            refused = api.invoke("order", {"amount": 2000})
            checks.status("it refuses", refused, 400)
            checks.contains("in its words", refused.text(), "2000 is above 1000")
            checks.equal("its record", last_steps(api, "order"), ["grpc BEFORE refused"])
            error = last_record(api, "order")["error"]
            checks.equal("with its error", error["type"], "OrderTooLarge")
        finally:
            service.kill()


def services(api, checks):
    (port,) = free_ports(1)
    target = f"127.0.0.1:{port}"
    make(api, "closed", {"grpc": {"target": target, "timeout": "2s"}})
    make(api, "open", {"grpc": {"target": target, "timeout": "2s", "failOpen": True}})
    missing = api.invoke("closed", {})
    checks.status("without a service, closed", missing, 503)
    checks.contains("says why", missing.text(), "MiddlewareFailed")
    checks.status("and open", api.invoke("open", {}), 200)
    steps = ["grpc BEFORE failed open", "grpc AFTER failed open"]
    checks.equal("which the record shows", last_steps(api, "open"), steps)
    service = Service(port)
    try:
        wait_until(lambda: api.invoke("closed", {}).status == 200, 20, "the service answers")
        service.script = lambda request, answer: service.ending.wait(20) and None
        late = api.invoke("closed", {})
        checks.status("a service that hangs, closed", late, 503)
        checks.contains("says why", late.text(), "MiddlewareTimeout")
        checks.status("and open", api.invoke("open", {}), 200)
        service.script = lambda request, answer: None
        service.requests.clear()
        checks.status("one that says nothing lets pass", api.invoke("closed", {"a": 1}), 200)
        before, after = service.requests
        checks.equal("it is told the function", before.function, "spaces/default/functions/closed")
        checks.equal("its version", before.function_version, 1)
        checks.equal("the way", [before.after, after.after], [False, True])
        record = last_record(api, "closed")
        checks.equal("and the record", before.execution, record["name"])
    finally:
        service.stop()


def test(suite, checks):
    api = Api(suite.http)
    with checks.section("jq"):
        transforms(api, checks)
    with checks.section("limits of jq"):
        limits(api, checks)
    with checks.section("validation"):
        validation(api, checks)
    with checks.section("a service as documented"):
        documented(suite, api, checks)
    with checks.section("services"):
        services(api, checks)


if __name__ == "__main__":
    run_with_suite(test)
