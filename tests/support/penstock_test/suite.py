"""Penstock as a user runs it: four programs, or `penstock up`, on ports and a data folder of their own."""

import argparse
import json
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile

from penstock_test.checks import SKIPPED, Checks, Skip, wait_until
from penstock_test.grpc_client import GrpcClient
from penstock_test.http_client import HttpClient
from penstock_test.process import Process, bin_dir, free_ports

SERVICES = ("function-manager", "function-executor", "event-broker", "gateway")
SHAPES = ("services", "up")
READY_SECONDS = 30


class Suite:
    """All services in one of two shapes. Ports stay the same over restarts."""

    def __init__(self, shape, data_dir=None, options=None, log_level="info", has_secrets=False):
        """`options` are further flags by service name: {"event-broker": ["--dedup.window=10s"]}; those of
        `up` are under "up". `up` always takes secrets; with `has_secrets` the four services do too."""
        self.shape = shape
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="penstock-test-"))
        self.data_dir = pathlib.Path(data_dir) if data_dir else self.folder / "data"
        self.options = options or {}
        self.log_level = log_level
        # Of secrets; `up` makes it itself.
        self.secrets_key = self.data_dir / "secrets.key"
        if has_secrets and shape == "services":
            self._make_secrets_key()
        names = ["http", "config", "grpc", "admin", "broker", "functions", "executor"]
        names += ["broker-admin", "functions-admin", "executor-admin"]
        self.ports = dict(zip(names, free_ports(len(names))))
        self.http = HttpClient(self.ports["http"])
        self.grpc = GrpcClient(self.ports["grpc"])
        self.processes = {}
        commands = self._service_commands() if shape == "services" else {"up": self._up_command()}
        for name, command in commands.items():
            if not pathlib.Path(command[0]).exists():
                raise FileNotFoundError(f"{command[0]} is not built")
            log = self.folder / "logs" / f"{name}.log"
            self.processes[name] = Process(name, command, log, cwd=self.folder)

    def _make_secrets_key(self):
        self.secrets_key = self.folder / "secrets.key"
        self.secrets_key.write_text(os.urandom(32).hex() + "\n", encoding="utf-8")
        self.secrets_key.chmod(0o600)
        flags = self.options.get("function-manager", [])
        self.options = {**self.options, "function-manager": [*flags, f"--secrets.key_file={self.secrets_key}"]}

    def _up_command(self):
        return [
            bin_dir() / "penstock",
            "up",
            f"--data-dir={self.data_dir}",
            f"--http-port={self.ports['http']}",
            f"--config-port={self.ports['config']}",
            f"--grpc-port={self.ports['grpc']}",
            f"--admin-port={self.ports['admin']}",
            f"--log-level={self.log_level}",
            *self.options.get("up", []),
        ]

    def _service_commands(self):
        def at(port):
            return f"127.0.0.1:{self.ports[port]}"

        common = [f"--log.level={self.log_level}", f"--peer.token_file={self.folder}/peer.token"]
        manager = f"--function_manager.address={at('functions')}"
        executor = f"--function_executor.address={at('executor')}"
        flags = {
            "function-manager": [
                f"--grpc.listen={at('functions')}",
                f"--admin.listen={at('functions-admin')}",
            ],
            "function-executor": [
                f"--grpc.listen={at('executor')}",
                f"--admin.listen={at('executor-admin')}",
                manager,
                f"--event_broker.address={at('broker')}",
                "--egress.allow=127.0.0.0/8",
            ],
            "event-broker": [
                f"--grpc.listen={at('broker')}",
                f"--admin.listen={at('broker-admin')}",
                manager,
                executor,
            ],
            "gateway": [
                f"--http.listen={at('http')}",
                f"--config.listen={at('config')}",
                f"--grpc.listen={at('grpc')}",
                f"--admin.listen={at('admin')}",
                f"--event_broker.address={at('broker')}",
                manager,
                executor,
            ],
        }
        for name in SERVICES[:3]:
            flags[name].append(f"--data_dir={self.data_dir / name}")
        return {
            name: [
                bin_dir() / f"penstock-{name}",
                *common,
                *flags[name],
                *self.options.get(name, []),
            ]
            for name in SERVICES
        }

    def admin_port(self, name):
        """Where /healthz, /readyz and /metrics of a process are."""
        own = {
            "event-broker": "broker-admin",
            "function-manager": "functions-admin",
            "function-executor": "executor-admin",
        }
        return self.ports[own.get(name, "admin")]

    def start(self, *names, connected=True):
        """Starts all processes, or these, and waits until each is ready."""
        for name in names or self.processes:
            self.processes[name].start()
        for name in names or self.processes:
            self.wait_ready(name)
        if connected and not names:
            self.wait_connected()
        return self

    def wait_connected(self):
        """Until the gateway, which is ready without them, reaches the services behind it."""
        paths = ["/events?pageSize=1"]
        paths += [
            f"/api/v1/spaces/default/{what}?pageSize=1" for what in ("functions", "executions")
        ]
        for path in paths:
            wait_until(lambda p=path: self.http.get(p).status == 200, READY_SECONDS, f"GET {path}")
        # The broker asks the function-manager, which says that there is no such function.
        probe = "/api/v1/spaces/default/subscriptions?subscriptionId=probe"
        wanted = {"eventType": "probe", "function": "no-such-function"}
        wait_until(
            lambda: self.http.post(probe, json_body=wanted).status == 400, READY_SECONDS, probe
        )

    def is_ready(self, name):
        try:
            client = HttpClient(self.admin_port(name), timeout=5)
            return client.get("/readyz").status == 200
        except OSError:
            return False

    def wait_ready(self, name, seconds=READY_SECONDS):
        def ready():
            process = self.processes[name]
            if not process.running():
                raise AssertionError(
                    f"{name} ended with exit code {process.exit_code()} at its start"
                )
            return self.is_ready(name)

        wait_until(ready, seconds, f"{name} is ready")

    def stop(self):
        """SIGTERM to all, the gateway first; gives the exit codes by name."""
        return {name: self.processes[name].terminate() for name in reversed(self.processes)}

    def kill(self, *names):
        """kill -9 of all processes, or of these."""
        for name in names or self.processes:
            self.processes[name].kill()

    def metric(self, service, name):
        """The sum of a metric's series on a service's admin port; None when there is none."""
        text = HttpClient(self.admin_port(service)).get("/metrics").text()
        values = [
            float(line.rsplit(" ", 1)[1])
            for line in text.splitlines()
            if line.split("{")[0].split(" ")[0] == name
        ]
        return sum(values) if values else None

    def cli(self, *arguments, stdin=None, timeout=30, environment=None):
        """Runs the command-line client against this suite."""
        return subprocess.run(
            [bin_dir() / "penstock", *arguments],
            input=stdin,
            capture_output=True,
            text=True,
            timeout=timeout,
            check=False,
            env={
                "PATH": "/usr/bin:/bin",
                "HOME": str(self.folder),
                "PENSTOCK_SERVER": f"127.0.0.1:{self.ports['grpc']}",
                **(environment or {}),
            },
        )

    def close(self, print_logs=False):
        """Ends everything and removes the data."""
        alive = {name: process.running() for name, process in self.processes.items()}
        self.grpc.close()
        self.kill()
        if print_logs:
            print(f"processes that ran at the end: {json.dumps(alive)}")
            for process in self.processes.values():
                process.print_log()
        shutil.rmtree(self.folder, ignore_errors=True)


def run_with_suite(test, started=True, connected=True, needs_shape=None, **suite_options):
    """The main program of a test: `test(suite, checks)` in the shape given by --shape.

    Prints logs when a check failed. Exits 77 where the test cannot run, 1 when a check failed.
    """
    parser = argparse.ArgumentParser()
    parser.add_argument("--shape", choices=SHAPES, default=needs_shape or "services")
    arguments = parser.parse_args()
    checks = Checks()
    suite = Suite(arguments.shape, **suite_options)
    try:
        with checks.section(f"start ({arguments.shape})"):
            if started:
                suite.start(connected=connected)
            checks.that("every process is ready", True)
        if checks.failed == 0:
            with checks.section("test"):
                test(suite, checks)
    except Skip as reason:
        print(f"skipped: {reason}")
        sys.exit(SKIPPED)
    finally:
        suite.close(print_logs=checks.failed > 0)
    sys.exit(checks.finish())
