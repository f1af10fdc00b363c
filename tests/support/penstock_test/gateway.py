"""The gateway alone: no service is behind it, only upstreams of its reverse proxy."""

import json
import pathlib
import tempfile

from penstock_test.checks import wait_until
from penstock_test.http_client import HttpClient
from penstock_test.nginx import accepts
from penstock_test.process import Process, bin_dir, free_ports


class Gateway:
    """`proxy` is the value of that configuration key."""

    def __init__(self, proxy, **settings):
        self._folder = tempfile.TemporaryDirectory(prefix="penstock-gateway-")
        folder = pathlib.Path(self._folder.name)
        self.port, self.admin_port = free_ports(2)
        config = {
            "http": {"listen": f"127.0.0.1:{self.port}"},
            "config": {"listen": ""},
            "grpc": {"listen": ""},
            "admin": {"listen": f"127.0.0.1:{self.admin_port}"},
            "peer": {"token_file": str(folder / "peer.token")},
            "log": {"level": "warn"},
            "proxy": proxy,
            **settings,
        }
        file = folder / "gateway.yaml"
        # JSON is YAML.
        file.write_text(json.dumps(config), encoding="utf-8")
        command = [bin_dir() / "penstock-gateway", "--config", file]
        self.process = Process("penstock-gateway", command, folder / "log").start()
        self.http = HttpClient(self.port)
        try:
            wait_until(lambda: accepts(self.port), 10, "the gateway listens")
        except AssertionError:
            self.process.print_log()
            raise

    def metrics(self):
        return HttpClient(self.admin_port).get("/metrics").text()

    def close(self):
        self.process.kill()
        self._folder.cleanup()
