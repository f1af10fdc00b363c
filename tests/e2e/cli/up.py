"""`penstock up` itself: free ports, what it prints and refuses, how it ends."""

import json
import pathlib
import signal
import socket
import subprocess
import sys
import tempfile

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "support"))

from penstock_test.checks import Checks, wait_until
from penstock_test.http_client import HttpClient
from penstock_test.process import Process, bin_dir

FREE = ["--http-port=0", "--config-port=0", "--grpc-port=0", "--admin-port=0"]


def start(folder, name, *arguments):
    """Starts `penstock up` on free ports; gives the process and its ports file."""
    data = folder / name
    command = [bin_dir() / "penstock", "up", f"--data-dir={data}", *FREE, *arguments]
    process = Process(name, command, folder / f"{name}.log", cwd=folder).start()
    ports = data / "penstock.ports.json"

    def written():
        if not process.running():
            raise AssertionError(f"it ended: {process.log()[-1000:]}")
        return ports.exists()

    wait_until(written, 30, "the ports are written")
    return process, json.loads(ports.read_text(encoding="utf-8"))


def free_ports(folder, checks):
    process, ports = start(folder, "free")
    try:
        for name in ("http", "grpc", "admin", "config"):
            checks.that(f"a free {name} port", 0 < ports.get(name, 0) < 65536, ports)
        checks.equal(
            "the ports differ",
            len({ports[name] for name in ("http", "grpc", "admin", "config")}),
            4,
        )
        admin = HttpClient(ports["admin"])
        wait_until(lambda: admin.get("/readyz").status == 200, 30, "ready")
        checks.status("/healthz", admin.get("/healthz"), 200)
        metrics = admin.get("/metrics").text()
        for service in ("gateway", "broker", "functions", "executor"):
            checks.contains(f"metrics of the {service}", metrics, f"penstock_{service}_")
        checks.status("the front door", HttpClient(ports["http"]).get("/events"), 200)
        log = process.log()
        checks.contains("it prints where it listens", log, str(ports["http"]))
        checks.contains("and a first thing to try", log, "function create hello")
        for port in (ports["http"], ports["grpc"], ports["admin"]):
            checks.that(f"port {port} is on loopback only", not _reachable_from_outside(port))
    finally:
        checks.equal("SIGTERM ends it with 0", process.terminate(), 0)


def _reachable_from_outside(port):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("192.0.2.1", 9))
            address = probe.getsockname()[0]
        except OSError:
            return False
    if address.startswith("127."):
        return False
    try:
        socket.create_connection((address, port), timeout=2).close()
        return True
    except OSError:
        return False


def refusals(folder, checks):
    def run(*arguments):
        return subprocess.run(
            [bin_dir() / "penstock", "up", f"--data-dir={folder / 'refused'}", *arguments],
            capture_output=True,
            text=True,
            timeout=30,
            cwd=folder,
            check=False,
        )

    outside = run("--bind", "0.0.0.0", *FREE)
    checks.that(
        "off loopback without --auth is refused", outside.returncode not in (0, None), outside
    )
    checks.contains("which names the flag", outside.stdout + outside.stderr, "--auth")
    unknown = run("--colour", "red")
    checks.that("an unknown flag is refused", unknown.returncode != 0, unknown)
    checks.contains("and named", unknown.stdout + unknown.stderr, "colour")
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        busy = run(f"--http-port={port}", "--config-port=0", "--grpc-port=0", "--admin-port=0")
    checks.equal("a port that is taken ends it with 1", busy.returncode, 1)
    checks.contains("and is named", busy.stdout + busy.stderr, str(port))


def one_a_folder(folder, checks):
    process, _ = start(folder, "one")
    second = subprocess.run(
        [bin_dir() / "penstock", "up", f"--data-dir={folder / 'one'}", *FREE],
        capture_output=True,
        text=True,
        timeout=30,
        cwd=folder,
        check=False,
    )
    checks.equal("a second one on the same folder ends with 1", second.returncode, 1)
    checks.contains("and names the holder", second.stdout + second.stderr, str(process.pid))
    process.signal(signal.SIGINT)
    checks.eventually("Ctrl-C ends it", lambda: not process.running(), 20)
    checks.equal("with 0", process.exit_code(), 0)
    process.kill()


def main():
    checks = Checks()
    with tempfile.TemporaryDirectory(prefix="penstock-up-") as name:
        folder = pathlib.Path(name)
        for part in (free_ports, refusals, one_a_folder):
            with checks.section(part.__name__.replace("_", " ")):
                part(folder, checks)
        if checks.failed:
            for log in folder.glob("*.log"):
                print(
                    f"=== {log.name}\n{log.read_text(encoding='utf-8', errors='replace')[-4000:]}"
                )
    return checks.finish()


if __name__ == "__main__":
    sys.exit(main())
