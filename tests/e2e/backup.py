"""A backup under load, a start on it, and what a damaged log file does to a broker that runs on it."""

import json
import pathlib
import shutil
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))

from penstock_test.api import Api
from penstock_test.function_server import FunctionServer
from penstock_test.http_client import HttpClient
from penstock_test.suite import run_with_suite
from restart import Background, publish_many


def stored_ids(suite):
    stored = set()
    token = ""
    while token is not None:
        page = suite.http.get(f"/events?type=keep.*&pageSize=1000&pageToken={token}").json()
        stored |= {event["event"]["id"] for event in page.get("events", [])}
        token = page.get("nextPageToken") or None
    return stored


def verify(suite, folder, *flags):
    done = suite.cli("log", "verify", str(folder), "-o", "json", *flags)
    return done.returncode, json.loads(done.stdout) if done.stdout else {}


def backup_under_load(suite, api, checks, copy):
    load = Background(api, "load")
    checks.eventually("events flow", lambda: len(load.acknowledged) > 200)
    before = list(load.acknowledged)
    done = suite.cli("backup", "--data-dir", str(suite.data_dir), "--to", str(copy))
    checks.equal("the backup is made", done.returncode, 0)
    checks.that("it says what it holds", "event log: sequences 1 to" in done.stdout, done.stdout)
    code, running = verify(suite, suite.data_dir)
    checks.equal("a log in use can be verified", (code, running.get("inUse")), (0, True))
    load.stop()
    code, copied = verify(suite, copy, "--deep")
    checks.equal("the copy is intact", (code, copied.get("intact")), (0, True))
    checks.equal("and nobody's", copied.get("inUse"), False)
    repaired = suite.cli("log", "repair", str(suite.data_dir), "--yes")
    checks.that("a log in use is not repaired", "in use by" in repaired.stderr, repaired.stderr)
    return before


def start_on_the_copy(suite, api, server, checks, copy, before):
    suite.stop()
    shutil.move(suite.data_dir, f"{suite.data_dir}.lost")
    shutil.move(copy, suite.data_dir)
    suite.start()
    lost = set(before) - stored_ids(suite)
    checks.that("nothing acknowledged before it is lost", not lost, sorted(lost)[:10])
    checks.equal("the subscription is there", api.get("subscriptions", "keep").status, 200)
    checks.eventually(
        "everything is delivered", lambda: set(before) <= set(server.ids("/keep")), 30
    )
    checks.status("events are taken", api.publish("keep.item", {}, "afterwards"), 202)
    checks.eventually("and delivered", lambda: "afterwards" in server.ids("/keep"))


def damage_and_repair(suite, api, checks):
    publish_many(api, "more", 200)
    suite.stop()
    log = suite.data_dir / "event-broker" / "log"
    segment = sorted(log.glob("*.seg"))[0]
    content = bytearray(segment.read_bytes())
    content[400] ^= 0x55
    segment.write_bytes(content)
    code, found = verify(suite, suite.data_dir, "--deep")
    checks.equal("damage is found", (code, found.get("intact")), (5, False))
    suite.start()
    report = HttpClient(suite.admin_port("event-broker" if suite.shape == "services" else "up")).get("/readyz")
    checks.equal("the broker serves the rest", report.status, 200)
    checks.that("and notes it", "cannot be read" in report.text(), report.text())
    suite.stop()
    planned = suite.cli("log", "repair", str(suite.data_dir), "--dry-run")
    checks.equal("a dry run tells", planned.returncode, 5)
    done = suite.cli("log", "repair", str(suite.data_dir), "--yes")
    checks.equal("the repair is done", done.returncode, 0)
    checks.that("the bytes are kept", list(log.glob("*.corrupt")), done.stdout)
    suite.start()
    checks.status("events are taken", api.publish("keep.item", {}, "repaired"), 202)


def test(suite, checks):
    server = FunctionServer()
    api = Api(suite.http)
    copy = suite.folder / "copy"
    with checks.section("functions"):
        api.create_http("keep", f"{server.url}/keep")
        checks.status("a subscription", api.subscribe("keep", "keep.*", "keep"), 200)
    with checks.section("backup under load"):
        before = backup_under_load(suite, api, checks, copy)
    with checks.section("a start on the copy"):
        start_on_the_copy(suite, api, server, checks, copy, before)
    with checks.section("damage and repair"):
        damage_and_repair(suite, api, checks)
    server.close()


if __name__ == "__main__":
    run_with_suite(test)
