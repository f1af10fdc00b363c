"""nginx with a configuration of the test's: a yardstick, or a real upstream."""

import os
import pathlib
import socket
import tempfile

from penstock_test.checks import Skip, wait_until
from penstock_test.process import Process, free_ports

PROGRAM = pathlib.Path("/usr/sbin/nginx")

CONFIG = """
{user}
worker_processes {workers};
error_log stderr error;
pid {folder}/nginx.pid;
daemon off;
events {{ worker_connections 2048; }}
http {{
  access_log off;
  client_body_temp_path {folder}/body;
  proxy_temp_path {folder}/proxy;
  fastcgi_temp_path {folder}/fastcgi;
  uwsgi_temp_path {folder}/uwsgi;
  scgi_temp_path {folder}/scgi;
  keepalive_requests 100000000;
{http}
  server {{
    listen 127.0.0.1:{port};
    root {folder};
{server}
  }}
}}
"""


def accepts(port):
    """Whether somebody listens on the port."""
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


class Nginx:
    """`server` is the inside of the server block, `http` what stands before it."""

    def __init__(self, server, http="", workers="auto"):
        if not PROGRAM.exists():
            raise Skip("nginx is not installed (Debian's nginx-light)")
        self._folder = tempfile.TemporaryDirectory(prefix="penstock-nginx-")
        self.folder = pathlib.Path(self._folder.name)
        self.port = free_ports(1)[0]
        config = self.folder / "nginx.conf"
        text = CONFIG.format(
            # Its workers are to read files of the test's.
            user="user root;" if os.geteuid() == 0 else "",
            workers=workers,
            folder=self.folder,
            port=self.port,
            http=http,
            server=server,
        )
        config.write_text(text, encoding="utf-8")
        command = [PROGRAM, "-p", self.folder, "-c", config]
        self._process = Process("nginx", command, self.folder / "log")
        self.start()

    def start(self):
        self._process.start()
        wait_until(lambda: accepts(self.port), 10, "nginx listens")

    def stop(self):
        self._process.terminate()

    def log(self):
        return self._process.log()

    def close(self):
        self.stop()
        self._folder.cleanup()
