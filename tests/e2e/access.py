"""API keys: nothing but liveness answers without one, and who created a resource is known."""

import pathlib
import sys
import tempfile

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))

import grpc

from penstock_test.api import Api
from penstock_test.http_client import HttpClient
from penstock_test.suite import run_with_suite

KEY = "key-of-ada-0123456789"
OTHER = "key-of-bob-0123456789"


class WithKey(HttpClient):
    """A client that shows a key with each request."""

    def __init__(self, port, key):
        super().__init__(port)
        self._key = key

    def request(self, method, path, body=None, headers=None, **more):
        headers = {**(headers or {}), "Authorization": f"Bearer {self._key}"}
        return super().request(method, path, body, headers, **more)


def without_a_key(suite, checks):
    http = suite.http
    api = Api(http)
    requests = {
        "publishing": lambda: api.publish("a.b", {}),
        "an Event header": lambda: http.post("/", "{}", headers={"Event": "a.b"}),
        "reading events": lambda: http.get("/events"),
        "making a function": lambda: api.create_function("f", {"noop": {}}),
        "listing functions": lambda: api.get("functions"),
        "a call": lambda: api.invoke("f", {}),
        "/_invoke": lambda: http.post("/_invoke", "{}", headers={"Function-ID": "f"}),
        "the configuration API": lambda: HttpClient(suite.ports["config"]).get("/v1/functions"),
    }
    for what, request in requests.items():
        checks.status(f"{what} without a key is 401", request(), 401)
    wrong = WithKey(suite.ports["http"], "wrong").get("/events")
    checks.status("a wrong key is 401", wrong, 401)
    checks.that("the answer does not repeat it", "wrong" not in wrong.text(), wrong)
    error = suite.grpc.error("functions", "ListFunctions", {"parent": "spaces/default"})
    checks.equal("gRPC without a key", error.code(), grpc.StatusCode.UNAUTHENTICATED)
    cli = suite.cli("function", "list")
    checks.equal("the command line without a key fails", cli.returncode, 1)
    checks.contains("and says what to give", cli.stderr, "--token")


def with_a_key(suite, checks):
    api = Api(WithKey(suite.ports["http"], KEY))
    other = Api(WithKey(suite.ports["http"], OTHER))
    made = api.create_function("f", {"noop": {}})
    checks.status("a function with a key", made, 200)
    checks.equal("remembers who made it", made.json().get("creator"), "ada")
    checks.status("a subscription", api.subscribe("s", "a.*", "f"), 200)
    checks.status("publishing", api.publish("a.b", {}), 202)
    checks.equal("a call", api.invoke("f", {"a": 1}).json(), {"a": 1})
    by_header = suite.http.get("/events", headers={"X-API-Key": KEY})
    checks.status("the key may be in X-API-Key", by_header, 200)
    other.create_function("g", {"noop": {}})
    mine = api.get("functions", creator="me").json().get("functions", [])
    checks.equal("creator=me lists one's own", [f["creator"] for f in mine], ["ada"])
    bearer = [("authorization", f"Bearer {KEY}")]
    listed = suite.grpc.call(
        "functions", "ListFunctions", {"parent": "spaces/default"}, metadata=bearer
    )
    checks.equal("gRPC with a key", len(listed.functions), 2)
    cli = suite.cli("function", "list", "--token", KEY)
    checks.equal("the command line with a key", cli.returncode, 0)
    config = WithKey(suite.ports["config"], KEY)
    checks.status("the configuration API with a key", config.get("/v1/functions"), 200)


def logs_hold_no_key(suite, checks):
    logs = "".join(process.log().split("\n", 1)[1] for process in suite.processes.values())
    checks.that("no key is in a log", KEY not in logs and OTHER not in logs)


def test(suite, checks):
    suite.http = WithKey(suite.ports["http"], KEY)
    suite.wait_connected()
    suite.http = HttpClient(suite.ports["http"])
    with checks.section("without a key"):
        without_a_key(suite, checks)
    with checks.section("with a key"):
        with_a_key(suite, checks)
    with checks.section("logs"):
        logs_hold_no_key(suite, checks)


if __name__ == "__main__":
    with tempfile.NamedTemporaryFile("w", prefix="penstock-keys-", suffix=".txt") as keys:
        keys.write(f"# who: key\nada:{KEY}\nbob:{OTHER}\n")
        keys.flush()
        flags = ["--auth=api_keys", f"--auth_keys_file={keys.name}"]
        up_flags = ["--auth=api_keys", f"--gateway.auth_keys_file={keys.name}"]
        run_with_suite(test, connected=False, options={"gateway": flags, "up": up_flags})
