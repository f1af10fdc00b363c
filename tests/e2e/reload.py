"""SIGHUP under load: the configuration goes back and forth between two versions, and no request fails."""

import http.client
import json
import pathlib
import signal
import sys
import threading
from concurrent import futures
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))

import grpc

from penstock_test.checks import wait_until
from penstock_test.http_client import HttpClient
from penstock_test.process import free_ports
from penstock_test.suite import run_with_suite

LASTING = {"X-API-Key": "lasting-key-0123456789"}
OTHER = {"X-API-Key": "other-key-0123456789"}
ROUNDS = 20
DONE = "the configuration was read again"
REFUSED = "the new configuration is refused"


class Shop(BaseHTTPRequestHandler):
    """Answers with its path; /…/slow sends one byte and the rest when it may."""

    protocol_version = "HTTP/1.1"
    may_end = threading.Event()

    def do_GET(self):  # pylint: disable=invalid-name
        body = self.path.encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.path.endswith("/slow"):
            self.wfile.write(body[:1])
            self.wfile.flush()
            self.may_end.wait(60)
            body = body[1:]
        self.wfile.write(body)

    def log_message(self, *_):  # pylint: disable=arguments-differ
        pass


class Echo(grpc.GenericRpcHandler):
    def service(self, handler_call_details):
        return grpc.unary_unary_rpc_method_handler(lambda request, _: request + b"!")


class Versions:
    """Writes the configuration, sends the signal, and waits until the log says what came of it."""

    def __init__(self, suite):
        self.shop, self.acme = free_ports(2)
        self._suite = suite
        self._process = suite.processes["up" if suite.shape == "up" else "gateway"]
        self.file = suite.folder / "reload.yaml"
        self.keys = suite.folder / "keys"

    def write(self, second):
        keys = [LASTING] + ([OTHER] if second else [])
        lines = [f"p{i}:{key['X-API-Key']}\n" for i, key in enumerate(keys)]
        self.keys.write_text("".join(lines), encoding="utf-8")
        upstream = {"name": "shop", "servers": [{"url": f"http://127.0.0.1:{self.shop}"}]}
        paths = ["/shop", "/more"] if second else ["/shop"]
        also = {**upstream, "name": "also", "keepalive_timeout": "3s" if second else "4s"}
        gateway = {
            "auth": "api_keys",
            "auth_keys_file": str(self.keys),
            "http": {"hosts": ["new.example"] if second else []},
            "invoke": {"timeout": "20s" if second else "30s"},
            "proxy": {
                "upstreams": [upstream, also],
                "routes": [{"path_prefix": path, "upstream": "shop"} for path in paths]
                + [{"path_prefix": "/also", "upstream": "also"}],
            },
            "grpc": {
                "deny": [] if second else ["acme.v2"],
                "upstreams": [
                    {
                        "name": "acme",
                        "addresses": [f"127.0.0.1:{self.acme}"],
                        "methods": ["acme"],
                    }
                ],
            },
        }
        self._write(gateway)

    def _write(self, gateway):
        whole = {"gateway": gateway} if self._suite.shape == "up" else gateway
        # JSON is YAML.
        self.file.write_text(json.dumps(whole, indent=1), encoding="utf-8")

    def write_without_routes(self):
        self.write(False)
        whole = json.loads(self.file.read_text(encoding="utf-8"))
        del whole.get("gateway", whole)["proxy"]
        self.file.write_text(json.dumps(whole), encoding="utf-8")

    def write_nonsense(self):
        """Gives the place of what is wrong."""
        whole = json.loads(self.file.read_text(encoding="utf-8"))
        gateway = whole.get("gateway", whole)
        gateway["proxy"] = {"routes": [{"path_prefix": "/shop", "upstraem": "shop"}]}
        text = json.dumps(whole, indent=1)
        self.file.write_text(text, encoding="utf-8")
        number = next(i for i, line in enumerate(text.splitlines(), 1) if "upstraem" in line)
        return f"reload.yaml:{number}:"

    def reload(self):
        """What the log said."""
        before = len(self._process.log())
        self._process.signal(signal.SIGHUP)

        def lines():
            new = [line for line in self._process.log()[before:].splitlines() if line]
            return new if any(DONE in line or REFUSED in line for line in new) else None

        return "\n".join(wait_until(lines, 20, "the reload is reported"))


class Load(threading.Thread):
    """Asks again and again until it is stopped or something fails."""

    def __init__(self, name, ask):
        super().__init__(daemon=True, name=name)
        self._ask = ask
        self.stopping = threading.Event()
        self.answered, self.failed = 0, []

    def run(self):
        while not self.stopping.is_set() and not self.failed:
            try:
                wrong = self._ask()
            except (OSError, http.client.HTTPException, grpc.RpcError) as error:
                wrong = repr(error)
            if wrong:
                self.failed.append(f"{self.name}: {wrong}")
            else:
                self.answered += 1


def loads(suite, acme):
    client = HttpClient(suite.ports["http"])

    def expect(status, answer):
        return None if answer.status == status else repr(answer)

    def publish():
        headers = {**LASTING, "Event": "reload.test"}
        return expect(202, client.post("/events", "x", headers=headers))

    def new_connection():
        return expect(200, HttpClient(suite.ports["http"]).get("/also/x", headers=LASTING))

    asks = {
        "rest": lambda: expect(200, client.get("/api/v1/spaces", headers=LASTING)),
        "route": lambda: expect(200, client.get("/shop/x", headers=LASTING)),
        "new connections": new_connection,
        "publish": publish,
        "grpc": lambda: None if acme("/acme.v1.Any/Echo") == "OK" else "no answer",
    }
    return [Load(name, ask) for name, ask in asks.items()]


def back_and_forth(suite, versions, acme, checks):
    running = loads(suite, acme)
    for load in running:
        load.start()
    wrong = []
    for number in range(ROUNDS):
        counts = [load.answered for load in running]
        wait_until(
            lambda c=counts: all(
                load.answered > count or load.failed for load, count in zip(running, c)
            ),
            20,
            "every load goes on",
        )
        second = number % 2 == 0
        versions.write(second)
        log = versions.reload()
        if DONE not in log:
            wrong.append(log)
        # On new connections, right after the report.
        http_client = HttpClient(suite.ports["http"])
        seen = (
            http_client.get("/more/x", headers=LASTING).status,
            http_client.get("/api/v1/spaces", headers=OTHER).status,
            http_client.get("/api/v1/spaces", headers={**LASTING, "Host": "new.example"}).status,
            acme("/acme.v2.Any/Echo"),
        )
        wanted = (200, 200, 200, "OK") if second else (404, 401, 403, "UNIMPLEMENTED")
        if seen != wanted:
            wrong.append(f"round {number}: {seen}, expected {wanted}")
    for load in running:
        load.stopping.set()
        load.join(30)
    checks.equal(f"{ROUNDS} reloads are in force when they are reported", wrong, [])
    checks.equal("no request fails", [f for load in running for f in load.failed], [])
    checks.that(
        "on any surface",
        all(load.answered >= ROUNDS for load in running),
        {load.name: load.answered for load in running},
    )


def removed_while_it_streams(suite, versions, checks):
    connection = http.client.HTTPConnection("127.0.0.1", suite.ports["http"], timeout=30)
    connection.request("GET", "/shop/slow", headers=LASTING)
    answer = connection.getresponse()
    first = answer.read(1)
    versions.write_without_routes()
    log = versions.reload()
    prefix = "gateway." if suite.shape == "up" else ""
    checks.contains("the keys that changed are named", log, f"{prefix}proxy.upstreams")
    gone = HttpClient(suite.ports["http"]).get("/shop/x", headers=LASTING)
    checks.status("the route is gone", gone, 404)
    Shop.may_end.set()
    checks.equal("its answer ends in peace", first + answer.read(), b"/shop/slow")
    connection.close()


def refused(suite, versions, checks):
    place = versions.write_nonsense()
    log = versions.reload()
    checks.contains("a bad file is refused", log, REFUSED)
    checks.contains("with its place", log, place)
    checks.contains("and the key", log, "upstraem")
    checks.status(
        "the old configuration goes on", suite.http.get("/api/v1/spaces", headers=LASTING), 200
    )


def fixed(suite, versions, checks):
    versions.write(True)
    whole = json.loads(versions.file.read_text(encoding="utf-8"))
    whole.get("gateway", whole)["http"]["threads"] = 7
    versions.file.write_text(json.dumps(whole), encoding="utf-8")
    log = versions.reload()
    checks.contains("what waits for the next start is named", log, "http.threads")
    checks.contains("as such", log, "at the next start only")
    checks.status("the rest is taken", suite.http.get("/more/x", headers=LASTING), 200)


def test(suite, checks):
    versions = Versions(suite)
    versions.write(False)
    suite.start(connected=False)
    shop = ThreadingHTTPServer(("127.0.0.1", versions.shop), Shop)
    shop.daemon_threads = True
    threading.Thread(target=shop.serve_forever, daemon=True).start()
    server = grpc.server(futures.ThreadPoolExecutor(4), handlers=(Echo(),))
    server.add_insecure_port(f"127.0.0.1:{versions.acme}")
    server.start()
    channel = grpc.insecure_channel(f"127.0.0.1:{suite.ports['grpc']}")

    def acme(path):
        call = channel.unary_unary(path)
        metadata = (("x-api-key", LASTING["X-API-Key"]),)
        try:
            return "OK" if call(b"x", metadata=metadata, timeout=20) == b"x!" else "wrong"
        except grpc.RpcError as error:
            return error.code().name

    wait_until(
        lambda: suite.http.get("/api/v1/spaces/default/functions", headers=LASTING).status == 200
        and suite.http.post("/events", "x", headers={**LASTING, "Event": "t"}).status == 202,
        30,
        "the services are reached",
    )
    with checks.section("back and forth under load"):
        back_and_forth(suite, versions, acme, checks)
    with checks.section("an upstream that is removed while it answers"):
        removed_while_it_streams(suite, versions, checks)
    with checks.section("a bad file"):
        refused(suite, versions, checks)
    with checks.section("keys that need a restart"):
        fixed(suite, versions, checks)
    own = "up" if suite.shape == "up" else "gateway"
    counted = suite.metric(own, "penstock_config_reloads_total")
    checks.equal("all of it is counted", counted, ROUNDS + 3)
    checks.that(
        "and the last success has a time",
        suite.metric(own, "penstock_config_last_reload_success_timestamp_seconds") > 1e9,
    )
    server.stop(None)
    shop.shutdown()


if __name__ == "__main__":
    run_with_suite(
        test,
        started=False,
        options={"gateway": ["--config=reload.yaml"], "up": ["--config=reload.yaml"]},
    )
