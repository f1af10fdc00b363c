"""The gateway alone as a reverse proxy: real nginx behind it, WebSockets, a drain under load."""

import http.client
import os
import pathlib
import sys
import threading
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))

from penstock_test import web_socket
from penstock_test.checks import SKIPPED, Checks, Skip, wait_until
from penstock_test.gateway import Gateway
from penstock_test.http_client import HttpClient
from penstock_test.nginx import Nginx

BIG = 20 * 1024 * 1024

SERVER = """
    client_max_body_size 100m;
    location /files { dav_methods PUT DELETE; create_full_put_path on; }
    location /echo {
      default_type text/plain;
      return 200 "$request_method $request_uri $http_host $http_x_forwarded_for $http_x_forwarded_proto $http_x_origin_host $http_via";
    }
    location /packed { rewrite ^/packed(.*) /files$1 break; gzip on; gzip_min_length 1; gzip_types *; gzip_proxied any; }
    location /slow { rewrite ^/slow(.*) /files$1 break; limit_rate 200k; }
    location /teapot { return 418; }
"""


def files(gateway, nginx, checks):
    body = os.urandom(BIG)
    (nginx.folder / "files").mkdir(exist_ok=True)
    put = gateway.http.request("PUT", "/files/big", body)
    checks.that("an upload of 20 MiB is taken", put.status in (201, 204), put)
    checks.that("and is on the disk", (nginx.folder / "files" / "big").read_bytes() == body)
    got = gateway.http.get("/files/big")
    checks.that("a download is the same", got.status == 200 and got.body == body)
    head = gateway.http.request("HEAD", "/files/big")
    checks.equal("HEAD has the length", head.header("Content-Length"), str(BIG))
    part = gateway.http.get("/files/big", headers={"Range": "bytes=100-199"})
    checks.that("a range", part.status == 206 and part.body == body[100:200], part.status)
    same = gateway.http.get("/files/big", headers={"If-None-Match": got.header("ETag")})
    checks.equal("a conditional request", (same.status, same.body), (304, b""))
    checks.equal("a missing file is nginx's 404", gateway.http.get("/files/none").status, 404)
    checks.equal("an odd status", gateway.http.get("/teapot").status, 418)
    (nginx.folder / "files" / "text").write_bytes(b"words and words\n" * 20000)
    packed = gateway.http.get("/packed/text", headers={"Accept-Encoding": "gzip"})
    checks.equal("a compressed answer stays so", packed.header("Content-Encoding"), "gzip")
    checks.equal("and comes in chunks", packed.header("Transfer-Encoding"), "chunked")
    checks.equal("a delete", gateway.http.delete("/files/big").status, 204)


def heads(gateway, nginx, checks):
    answer = gateway.http.get("/echo/a%20b?c=%2F", headers={"X-Forwarded-For": "192.0.2.1"})
    checks.equal(
        "what nginx sees",
        answer.text(),
        f"GET /echo/a%20b?c=%2F 127.0.0.1:{gateway.port} 192.0.2.1, 127.0.0.1 http "
        f"127.0.0.1:{nginx.port} 1.1 penstock",
    )
    checks.contains("the answer names both", answer.header("Via"), "penstock")
    checks.contains("and its server", answer.header("Server"), "nginx")


def slow(gateway, nginx, checks):
    """The first bytes of an answer come long before its last."""
    (nginx.folder / "files" / "megabyte").write_bytes(b"x" * 1_000_000)
    connection = http.client.HTTPConnection("127.0.0.1", gateway.port, timeout=30)
    start = time.monotonic()
    connection.request("GET", "/slow/megabyte")
    answer = connection.getresponse()
    first = len(answer.read(10_000))
    until_first = time.monotonic() - start
    rest = len(answer.read())
    until_last = time.monotonic() - start
    checks.equal("all of it comes", first + rest, 1_000_000)
    checks.that("as it is sent", until_first < until_last / 2, (until_first, until_last))
    connection.close()


def web_sockets(gateway, checks):
    client = web_socket.Client(gateway.port, "/ws/chat")
    checks.that("the handshake is the server's", client.status == 101 and client.accepted)
    for size in (0, 5, 200, 70_000, 1_000_000):
        payload = os.urandom(size)
        client.frames.send(web_socket.TEXT, payload)
        echoed = client.frames.receive() == (web_socket.TEXT, payload)
        checks.that(f"a message of {size} bytes comes back", echoed)
    client.frames.send(web_socket.PING, b"p")
    checks.equal("a ping", client.frames.receive(), (web_socket.PONG, b"p"))
    client.frames.send(web_socket.CLOSE, b"\x03\xe8")
    checks.equal("a close", client.frames.receive(), (web_socket.CLOSE, b"\x03\xe8"))
    checks.equal("and the end", client.frames.receive(), (web_socket.CLOSE, b""))
    client.close()


def nginx_goes_and_comes(gateway, nginx, checks):
    nginx.stop()
    lost = gateway.http.get("/echo")
    checks.status("without nginx it is 502", lost, 502)
    checks.contains("naming the upstream", lost.text(), 'upstream \\"nginx\\"')
    checks.contains("and the reason", lost.text(), '"CONNECT_FAILED"')
    nginx.start()
    checks.status("with it again, 200", gateway.http.get("/echo"), 200)
    counted = 'penstock_gateway_proxy_failures_total{upstream="nginx",reason="CONNECT_FAILED"} 3'
    checks.contains("failures are counted", gateway.metrics(), counted)


class Asker(threading.Thread):
    """Asks on a new connection each time until it is refused; counts what went wrong otherwise."""

    def __init__(self, port, stopping):
        super().__init__(daemon=True)
        self._port, self._stopping = port, stopping
        self.answered, self.failed = 0, []

    def run(self):
        while True:
            try:
                answer = HttpClient(self._port).get("/slow/small", timeout=20)
            except ConnectionRefusedError:
                return
            except (OSError, http.client.HTTPException) as error:
                # Accepted by the kernel, but closed with the listener before anybody saw it.
                if self._stopping.is_set() and isinstance(error, ConnectionResetError):
                    continue
                self.failed.append(repr(error))
                return
            if answer.status != 200 or len(answer.body) != 60_000:
                self.failed.append(repr(answer))
            self.answered += 1


def drain(gateway, nginx, checks):
    # More than the first burst that nginx lets through at once.
    (nginx.folder / "files" / "small").write_bytes(b"x" * 60_000)
    stopping = threading.Event()
    askers = [Asker(gateway.port, stopping) for _ in range(8)]
    for asker in askers:
        asker.start()
    wait_until(lambda: sum(a.answered for a in askers) > 30, 30, "requests are answered")
    stopping.set()
    code = gateway.process.terminate()
    for asker in askers:
        asker.join(30)
    checks.equal("the gateway stops in order", code, 0)
    checks.equal("no request fails", [f for asker in askers for f in asker.failed], [])


def main():
    checks = Checks()
    try:
        nginx = Nginx(SERVER)
    except Skip as reason:
        print(f"skipped: {reason}")
        return SKIPPED
    echo = web_socket.EchoServer()
    gateway = Gateway(
        {
            "upstreams": [
                {"name": "nginx", "servers": [{"url": f"http://127.0.0.1:{nginx.port}"}]},
                {"name": "echo", "servers": [{"url": f"http://127.0.0.1:{echo.port}"}]},
            ],
            "routes": [
                {"path_prefix": "/", "upstream": "nginx"},
                {"path_template": "/ws/*", "upstream": "echo"},
            ],
        }
    )
    try:
        with checks.section("files"):
            files(gateway, nginx, checks)
        with checks.section("heads"):
            heads(gateway, nginx, checks)
        with checks.section("a slow answer"):
            slow(gateway, nginx, checks)
        with checks.section("WebSockets"):
            web_sockets(gateway, checks)
        with checks.section("nginx goes and comes"):
            nginx_goes_and_comes(gateway, nginx, checks)
        with checks.section("a drain under load"):
            drain(gateway, nginx, checks)
    finally:
        if checks.failed:
            gateway.process.print_log()
            print(nginx.log())
        gateway.close()
        nginx.close()
        echo.close()
    return checks.finish()


if __name__ == "__main__":
    sys.exit(main())
