"""Functions and middleware services behind TLS whose authority is not one of the system's (`tls.ca_file`)."""

import json
import pathlib
import sys
import tempfile
from concurrent import futures

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))

import grpc

from penstock_test.api import Api
from penstock_test.certificates import make_authority
from penstock_test.checks import wait_until
from penstock_test.function_server import FunctionServer
from penstock_test.suite import run_with_suite

FOLDER = None  # Of certificates and keys; set below.


class MiddlewareServer:
    """Lets every call pass, and counts what it was asked."""

    def __init__(self, certificate, key):
        self.asked = 0
        handler = grpc.unary_unary_rpc_method_handler(self._process)
        service = grpc.method_handlers_generic_handler(
            "penstock.runtime.v1.MiddlewareService", {"ProcessCall": handler}
        )
        self._server = grpc.server(futures.ThreadPoolExecutor(2))
        self._server.add_generic_rpc_handlers([service])
        credentials = grpc.ssl_server_credentials([(key.read_bytes(), certificate.read_bytes())])
        self.port = self._server.add_secure_port("127.0.0.1:0", credentials)
        self._server.start()

    def _process(self, _request, _context):
        self.asked += 1
        return b""  # An empty message.

    def close(self):
        self._server.stop(None)


def functions(api, trusted, stranger, checks):
    checks.status("a function", api.create_function("known", {"http": {"url": f"{trusted.url}/f"}}), 200)
    checks.equal("is called by TLS", api.invoke("known", {"n": 1}).json(), {"path": "/f"})
    checks.equal("as it was asked", trusted.calls("/f")[0].json(), {"n": 1})
    api.create_function("stranger", {"http": {"url": f"{stranger.url}/f"}})
    refused = api.invoke("stranger", 1)
    checks.status("one of another authority is not", refused, 503)
    checks.contains("which is said", refused.text(), "certificate")
    checks.equal("and gets nothing", stranger.calls(), [])


def callbacks(api, trusted, checks):
    api.create_function("job", {"noop": {}, "async": {"callbackUrl": f"{trusted.url}/told"}})
    started = api.http.post(f"{api.root}/functions/job:invokeAsync", json_body={"n": 5})
    checks.status("an asynchronous call", started, 202)
    wait_until(lambda: trusted.calls("/told"), 20, "the callback by TLS")


def middleware(api, service, checks):
    steps = [{"grpc": {"target": f"https://127.0.0.1:{service.port}"}}]
    checks.status("a function with a service", api.create_function("asks", {"noop": {}, "middleware": steps}), 200)
    checks.status("runs", api.invoke("asks", 1), 200)
    checks.that("and the service was asked by TLS", service.asked > 0)


def main(suite, checks):
    own = make_authority(FOLDER, "own")
    other = make_authority(FOLDER, "other")
    suite.start()
    api = Api(suite.http)
    trusted, stranger = FunctionServer(tls=own), FunctionServer(tls=other)
    service = MiddlewareServer(*own)
    try:
        functions(api, trusted, stranger, checks)
        callbacks(api, trusted, checks)
        middleware(api, service, checks)
    finally:
        service.close()
        stranger.close()
        trusted.close()


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as folder:
        FOLDER = pathlib.Path(folder)
        settings = FOLDER / "up.yaml"
        settings.write_text(json.dumps({"function_executor": {"tls": {"ca_file": f"{folder}/own.pem"}}}), encoding="utf-8")
        options = {"function-executor": [f"--tls.ca_file={folder}/own.pem"], "up": [f"--config={settings}"]}
        run_with_suite(main, started=False, options=options)
