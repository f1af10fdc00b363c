"""The compose file as a user starts it: four containers become healthy, a function runs on an event, data stays.

Needs a docker daemon, docker-compose and a Debian 12 image; skipped where one is missing. The programs are those
of $PENSTOCK_BIN, put on top of the image that the Dockerfile's stage `runtime` makes.
"""

import itertools
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "support"))

from penstock_test.api import Api
from penstock_test.checks import SKIPPED, Checks, Skip, wait_until
from penstock_test.http_client import HttpClient
from penstock_test.process import bin_dir, free_ports, source_dir

BASES = ("penstock-base:bookworm", "debian:12", "debian:bookworm", "debian:bookworm-slim")
PROJECT = f"penstock-e2e-{os.getpid()}"
IMAGE = f"{PROJECT}:latest"
SERVICES = ("gateway", "event-broker", "function-manager", "function-executor")
HEALTHY_SECONDS = 90
SOURCE = "def handle(ctx, payload):\n    print('got', payload)\n    return {'got': payload}\n"


def run(*command, check=True, environment=None, **more):
    done = subprocess.run(
        command,
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, **(environment or {})},
        **more,
    )
    if check and done.returncode != 0:
        raise AssertionError(
            f"{' '.join(map(str, command))}: {done.stdout[-2000:]}{done.stderr[-2000:]}"
        )
    return done


def base_image():
    """A local Debian 12 image; Skip when docker or the image is missing."""
    for program in ("docker", "docker-compose"):
        if shutil.which(program) is None:
            raise Skip(f"{program} is not installed")
    if run("docker", "info", check=False).returncode != 0:
        raise Skip("no docker daemon answers")
    for name in BASES:
        if run("docker", "image", "inspect", name, check=False).returncode == 0:
            return name
    raise Skip("no Debian 12 image is here: tests/e2e/compose/make_base_image.sh makes one")


def build_image(base):
    root = source_dir()
    runtime = f"{PROJECT}:runtime"
    common = ["docker", "build", "-q"]
    dockerfile = ["-f", str(root / "deploy" / "Dockerfile"), "--target", "runtime"]
    run(*common, *dockerfile, "--build-arg", f"BASE={base}", "-t", runtime, str(root))
    with tempfile.TemporaryDirectory(prefix="penstock-image-") as folder:
        programs = [path for path in sorted(bin_dir().glob("penstock*")) if path.is_file()]
        for program in programs:
            run("strip", "--strip-debug", "-o", f"{folder}/{program.name}", str(program))
        text = f"FROM {runtime}\nCOPY penstock* /usr/local/bin/\n"
        text += "RUN ! ldd /usr/local/bin/penstock* 2>&1 | grep 'not found'\n"
        pathlib.Path(folder, "Dockerfile").write_text(text, encoding="utf-8")
        run(*common, "-t", IMAGE, folder)


class Containers:
    """The compose project."""

    def __init__(self):
        self.http_port, config, grpc = free_ports(3)
        self._environment = {
            "PENSTOCK_IMAGE": IMAGE,
            "PENSTOCK_HTTP_PORTS": str(self.http_port),
            "PENSTOCK_CONFIG_PORTS": str(config),
            "PENSTOCK_GRPC_PORTS": str(grpc),
        }

    def compose(self, *arguments, check=True):
        file = str(source_dir() / "deploy" / "docker-compose.yml")
        command = ["docker-compose", "-p", PROJECT, "-f", file, *arguments]
        return run(*command, check=check, environment=self._environment)

    def ids(self, service):
        return self.compose("ps", "-q", service).stdout.split()

    def healthy(self, service):
        ids = self.ids(service)
        states = [
            run("docker", "inspect", "-f", "{{.State.Health.Status}}", one, check=False).stdout
            for one in ids
        ]
        return bool(ids) and all(state.strip() == "healthy" for state in states)

    def up(self, *arguments):
        self.compose("up", "-d", "--no-build", *arguments)
        for service in SERVICES:
            wait_until(lambda s=service: self.healthy(s), HEALTHY_SECONDS, f"{service} is healthy")

    def close(self, checks):
        if checks.failed:
            print(self.compose("ps", check=False).stdout)
            print(self.compose("logs", "--tail=40", "--no-color", check=False).stdout)
        self.compose("down", "-v", "--remove-orphans", check=False)
        for image in (IMAGE, f"{PROJECT}:runtime"):
            run("docker", "rmi", "-f", image, check=False)


def journey(api, number, checks):
    event_id = f"c-{number}"
    receipt = wait_until(lambda: _taken(api, event_id), 20, "an event is taken")
    checks.that(f"event {number} is acknowledged", receipt)
    found = checks.eventually(
        f"event {number} reaches its function",
        lambda: [run for run in api.executions(eventId=event_id) if run["state"] == "SUCCEEDED"],
    )
    if found:
        checks.equal(
            f"event {number}: the answer", found[0]["output"]["json"], {"got": {"n": number}}
        )


def _taken(api, event_id):
    try:
        return api.publish("box.item", {"n": int(event_id[2:])}, event_id).status == 202
    except OSError:
        return False


def test(containers, checks):
    with checks.section("four containers"):
        containers.up()
        checks.that("all are healthy", True)
    http = HttpClient(containers.http_port)
    api = Api(http)
    with checks.section("a journey"):
        checks.status("a function", api.create_python("box", SOURCE), 200)
        checks.status("a subscription", api.subscribe("box", "box.*", "box"), 200)
        journey(api, 1, checks)
    with checks.section("isolation"):
        for service in SERVICES:
            one = containers.ids(service)[0]
            user = run("docker", "exec", one, "id", "-u").stdout.strip()
            checks.equal(f"{service} runs as an ordinary user", user, "10001")
            ports = run("docker", "port", one).stdout
            outside = [line for line in ports.splitlines() if "127.0.0.1" not in line]
            checks.equal(f"{service} publishes nothing off loopback", outside, [])
            if service != "gateway":
                checks.equal(f"{service} publishes nothing", ports, "")
    with checks.section("a container is killed"):
        run("docker", "kill", "-s", "KILL", containers.ids("event-broker")[0])
        containers.up()
        checks.status("stored events are there", http.get("/events/c-1"), 200)
        journey(api, 2, checks)
    with checks.section("everything is made anew on the same volumes"):
        containers.compose("down")
        containers.up()
        wait_until(lambda: api.get("functions").status == 200, 20, "functions")
        checks.status("the function is there", api.get("functions", "box"), 200)
        checks.status("stored events too", http.get("/events/c-1"), 200)
        journey(api, 3, checks)
    with checks.section("three executors"):
        containers.up("--scale", "function-executor=3")
        numbers = itertools.count(4)

        def spread():
            _taken(api, f"c-{next(numbers)}")
            # An execution's id begins with the instance that ran it.
            runs = api.executions(pageSize=500)
            return len({run["name"].rsplit("/", 1)[1].split("-")[0] for run in runs}) == 3

        checks.eventually("lists show runs of all three", spread, 10)
        journey(api, next(numbers), checks)


def main():
    checks = Checks()
    try:
        base = base_image()
    except Skip as reason:
        print(f"skipped: {reason}")
        return SKIPPED
    containers = Containers()
    try:
        with checks.section("the image"):
            build_image(base)
            checks.that("it is built", True)
        if checks.failed == 0:
            test(containers, checks)
    finally:
        containers.close(checks)
    return checks.finish()


if __name__ == "__main__":
    sys.exit(main())
