"""A data folder without space: publishing is refused, reading goes on, and it recovers when there is space."""

import os
import pathlib
import subprocess
import sys
import tempfile

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))

from penstock_test.api import Api
from penstock_test.checks import Skip
from penstock_test.function_server import FunctionServer
from penstock_test.suite import run_with_suite

SIZE_MIB = 160


class SmallDisk:
    """A tmpfs of a fixed size."""

    def __init__(self):
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="penstock-disk-"))
        if os.geteuid() != 0:
            self.folder.rmdir()
            raise Skip("mounting a small file system needs root")
        command = ["mount", "-t", "tmpfs", "-o", f"size={SIZE_MIB}m", "tmpfs", str(self.folder)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode != 0:
            self.folder.rmdir()
            raise Skip(f"no file system can be mounted here: {done.stderr.strip()}")

    def fill(self):
        """Takes all space but a little, with a file of its own."""
        with open(self.folder / "filler", "wb", buffering=0) as file:
            block = b"x" * (1 << 20)
            while True:
                try:
                    if file.write(block) < len(block):
                        block = b"x" * 4096
                except OSError:
                    if len(block) > 1024:
                        block = b"x" * 1024
                        continue
                    return

    def free(self):
        (self.folder / "filler").unlink()

    def remount(self, mode):
        subprocess.run(["mount", "-o", f"remount,{mode}", str(self.folder)], check=True)

    def close(self):
        subprocess.run(["umount", "-l", str(self.folder)], check=False)
        self.folder.rmdir()


def publish_until_refused(api, checks):
    """Gives the ids that were acknowledged and the first refusal."""
    acknowledged = []
    for number in range(4000):
        answer = api.publish("disk.item", "x" * 200_000, f"full-{number}")
        if answer.status != 202:
            return acknowledged, answer
        acknowledged.append(f"full-{number}")
    checks.that("a full disk refuses", False, f"{len(acknowledged)} events were taken")
    return acknowledged, None


def full(suite, api, server, disk, checks):
    for number in range(5):
        api.publish("disk.item", {}, f"before-{number}")
    disk.fill()
    acknowledged, refusal = publish_until_refused(api, checks)
    if refusal is not None:
        checks.status("publishing on a full disk is 503", refusal, 503)
        checks.that(
            "and says why",
            "space" in refusal.text().lower() or "disk" in refusal.text().lower(),
            refusal,
        )
    checks.status("reading goes on", suite.http.get("/events?pageSize=5"), 200)
    checks.status("one event can be read", suite.http.get("/events/before-3"), 200)
    checks.status("functions are listed", api.get("functions"), 200)
    checks.that("every program still runs", all(p.running() for p in suite.processes.values()))
    disk.free()
    checks.eventually(
        "publishing recovers by itself",
        lambda: api.publish("disk.item", {}, "after-1").status == 202,
        30,
    )
    expected = {f"before-{number}" for number in range(5)} | set(acknowledged) | {"after-1"}
    checks.eventually(
        "all acknowledged events are delivered", lambda: expected <= set(server.ids("/disk")), 30
    )
    stored = suite.http.get("/events/after-1")
    checks.status("the new one is stored", stored, 200)
    return expected


def restarted(suite, api, expected, checks):
    suite.kill()
    suite.start()
    missing = [one for one in sorted(expected) if suite.http.get(f"/events/{one}").status != 200]
    checks.that("a restart loses none", not missing, missing[:5])
    checks.status("and takes more", api.publish("disk.item", {}, "after-2"), 202)


def read_only(suite, checks, disk):
    suite.stop()
    disk.remount("ro")
    try:
        names = ("up",) if suite.shape == "up" else ("event-broker",)
        for name in names:
            process = suite.processes[name].start()
            checks.eventually(
                f"{name} on a read-only folder ends", lambda p=process: not p.running(), 20
            )
            checks.that("with an error", process.exit_code() not in (0, None), process.exit_code())
            checks.that(
                "that names the folder",
                str(disk.folder) in process.log().rsplit("# ", 1)[1],
                process.log()[-500:],
            )
            process.kill()
    finally:
        disk.remount("rw")


def test(suite, checks):
    server = FunctionServer()
    api = Api(suite.http)
    api.create_http("disk", f"{server.url}/disk")
    checks.status("a subscription", api.subscribe("disk", "disk.*", "disk"), 200)
    expected = set()
    with checks.section("a full disk"):
        expected = full(suite, api, server, DISK, checks)
    with checks.section("after a restart"):
        restarted(suite, api, expected, checks)
    with checks.section("a read-only disk"):
        read_only(suite, checks, DISK)
    server.close()


if __name__ == "__main__":
    try:
        DISK = SmallDisk()
    except Skip as reason:
        print(f"skipped: {reason}")
        sys.exit(77)
    try:
        run_with_suite(test, data_dir=DISK.folder / "data")
    finally:
        DISK.close()
