"""One program under test: started with a log of its own, ended by its own process id."""

import os
import pathlib
import signal
import socket
import subprocess
import sys

LOG_TAIL_BYTES = 6000


def bin_dir():
    """Where the programs are: $PENSTOCK_BIN, or the release build of this repository."""
    given = os.environ.get("PENSTOCK_BIN")
    return pathlib.Path(given) if given else source_dir() / "build" / "release" / "bin"


def source_dir():
    given = os.environ.get("PENSTOCK_SOURCE")
    return pathlib.Path(given) if given else pathlib.Path(__file__).resolve().parents[3]


def free_ports(count):
    """Ports that nobody listens on now, all different."""
    sockets = [socket.socket() for _ in range(count)]
    try:
        for one in sockets:
            one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            one.bind(("127.0.0.1", 0))
        return [one.getsockname()[1] for one in sockets]
    finally:
        for one in sockets:
            one.close()


class Process:
    """A child process that is killed when the test ends, whatever happens."""

    def __init__(self, name, command, log_file, environment=None, cwd=None):
        self.name = name
        self.log_file = pathlib.Path(log_file)
        self._command = [str(part) for part in command]
        self._environment = environment
        self._cwd = cwd
        self._child = None

    def start(self):
        self.log_file.parent.mkdir(parents=True, exist_ok=True)
        with open(self.log_file, "ab") as log:
            log.write(f"# {' '.join(self._command)}\n".encode())
            log.flush()
            self._child = subprocess.Popen(
                self._command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                cwd=self._cwd,
                env={**os.environ, **(self._environment or {})},
            )
        return self

    @property
    def pid(self):
        return self._child.pid if self._child else None

    def running(self):
        return self._child is not None and self._child.poll() is None

    def exit_code(self):
        return None if self._child is None else self._child.poll()

    def signal(self, number):
        if self.running():
            self._child.send_signal(number)

    def kill(self):
        """kill -9, and wait until it is gone."""
        if self._child is None:
            return
        self.signal(signal.SIGKILL)
        self._child.wait()

    def terminate(self, seconds=30):
        """SIGTERM, and the exit code; killed when it does not end in time (then the code is -9)."""
        if self._child is None:
            return None
        self.signal(signal.SIGTERM)
        try:
            return self._child.wait(seconds)
        except subprocess.TimeoutExpired:
            print(f"{self.name} did not end within {seconds} s of SIGTERM", file=sys.stdout)
            self.kill()
            return self._child.returncode

    def log(self):
        try:
            return self.log_file.read_text(encoding="utf-8", errors="replace")
        except FileNotFoundError:
            return ""

    def print_log(self):
        """The end of the log, for a test that failed."""
        text = self.log()
        cut = text[-LOG_TAIL_BYTES:]
        print(f"=== log of {self.name} ({len(text)} bytes, exit code {self.exit_code()})")
        print(cut, flush=True)
