"""An external Master API behind the gateway: its HTTP server behind `/api`, its gRPC server behind the gRPC port."""

import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))

from concurrent import futures

import grpc

from penstock_test.checks import SKIPPED, Checks, Skip
from penstock_test.gateway import Gateway
from penstock_test.grpc_client import SERVICES, GrpcClient, contracts, to_dict
from penstock_test.nginx import Nginx
from penstock_test.process import free_ports

SERVER = """
    location / { default_type application/json; return 200 '{"seen": "$request_uri"}'; }
"""


class MasterApi(grpc.GenericRpcHandler):
    """A function-manager of another kind, and a service of its own."""

    def __init__(self):
        given, taken, *_ = contracts().method(SERVICES["functions"], "ListFunctions")
        self._given, self._taken = given, taken

    def service(self, handler_call_details):
        if handler_call_details.method == f"/{SERVICES['functions']}/ListFunctions":
            return grpc.unary_unary_rpc_method_handler(
                self.list_functions, self._given.FromString, self._taken.SerializeToString
            )
        if handler_call_details.method == "/acme.admin.v1.Admin/Ask":
            return grpc.unary_unary_rpc_method_handler(lambda request, _: request[::-1])
        return None

    def list_functions(self, request, _):
        name = f"{request.parent}/functions/theirs"
        return self._taken(functions=[{"name": name}])


def grpc_calls(gateway, port, checks):
    client = GrpcClient(port)
    listed = to_dict(client.call("functions", "ListFunctions", {"parent": "spaces/one"}))
    theirs = {"functions": [{"name": "spaces/one/functions/theirs"}]}
    checks.equal("a management call goes to the Master API", listed, theirs)
    error = client.error("functions", "GetFunction", {"name": "spaces/one/functions/f"})
    checks.equal("what it does not serve is its answer", error.code(), grpc.StatusCode.UNIMPLEMENTED)
    checks.equal("methods of its own too", client.raw("/acme.admin.v1.Admin/Ask", b"ab"), b"ba")
    error = client.error("broker", "GetEvent", {"space": "one", "id": "e", "source": "/s"})
    checks.contains("events are still the event-broker's", error.details(), "event-broker")
    path = f"/{SERVICES['functions']}/ListFunctions"
    answer = gateway.http.post(path, json_body={"parent": "spaces/two"})
    checks.equal(
        "the same by Connect", answer.json(), {"functions": [{"name": "spaces/two/functions/theirs"}]}
    )
    refused = gateway.http.post(path, json_body={}, headers={"Origin": "http://elsewhere.test"})
    checks.equal("guarded as /api is", refused.status, 403)
    client.close()


def http_calls(gateway, checks):
    answer = gateway.http.get("/api/v1/spaces/one/functions?a=b")
    checks.equal("/api", answer.json(), {"seen": "/api/v1/spaces/one/functions?a=b"})
    refused = gateway.http.get("/api/v1/x", headers={"Origin": "http://elsewhere.test"})
    checks.equal("guarded", refused.status, 403)


def main():
    checks = Checks()
    port, grpc_port = free_ports(2)
    try:
        nginx = Nginx(SERVER)
    except Skip as reason:
        print(f"skipped: {reason}")
        return SKIPPED
    server = grpc.server(futures.ThreadPoolExecutor(2), handlers=(MasterApi(),))
    server.add_insecure_port(f"127.0.0.1:{port}")
    server.start()
    methods = ["penstock.functions.v1", "penstock.executions.v1", "acme.admin.v1"]
    gateway = Gateway(
        {},
        grpc={"listen": f"127.0.0.1:{grpc_port}"},
        master_api={
            "url": f"http://127.0.0.1:{nginx.port}",
            "grpc": {"addresses": [f"127.0.0.1:{port}"], "methods": methods},
        },
    )
    try:
        with checks.section("gRPC"):
            grpc_calls(gateway, grpc_port, checks)
        with checks.section("HTTP"):
            http_calls(gateway, checks)
    finally:
        if checks.failed:
            gateway.process.print_log()
        gateway.close()
        nginx.close()
        server.stop(None).wait()
    return checks.finish()


if __name__ == "__main__":
    sys.exit(main())
