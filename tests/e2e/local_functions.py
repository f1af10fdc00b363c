"""Functions as local processes: sources by digest, `function deploy`, the line protocol in four languages, faults."""

import hashlib
import http.client
import io
import os
import pathlib
import shutil
import sqlite3
import subprocess
import sys
import tarfile
import threading

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))

from penstock_test.api import Api, violated_fields
from penstock_test.checks import wait_until
from penstock_test.http_client import HttpClient
from penstock_test.process import source_dir
from penstock_test.suite import run_with_suite

EXAMPLES = source_dir() / "docs" / "examples" / "process"
CALLS_AT_ONCE = 1000
LIMIT = 10


def archive(**files):
    """A tar archive with gzip of the files, their paths with `__` for `/` and `_dot_` for `.`."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as tar:
        for name, text in files.items():
            entry = tarfile.TarInfo(name.replace("__", "/").replace("_dot_", "."))
            entry.size = len(text)
            tar.addfile(entry, io.BytesIO(text.encode()))
    return buffer.getvalue()


def upload(suite, data):
    headers = {"Content-Type": "application/octet-stream"}
    return suite.http.post("/api/v1/functionSources?parent=spaces/default", data, headers=headers)


def sources_by_digest(suite, api, checks):
    data = archive(
        src__main_dot_py="import tools\ndef handle(ctx, p):\n    return tools.twice(p)\n",
        src__tools_dot_py="def twice(x):\n    return 2 * x\n",
    )
    stored = upload(suite, data)
    checks.status("an upload over REST", stored, 200)
    digest = stored.json().get("digest")
    checks.equal("is known by its digest", digest, hashlib.sha256(data).hexdigest())
    loaded = suite.http.get(f"/api/v1/spaces/default/functionSources/{digest}")
    checks.equal("a download gives the same bytes", (loaded.status, loaded.body), (200, data))
    missing = suite.http.get(f"/api/v1/spaces/default/functionSources/{'a' * 64}")
    checks.status("a digest that nobody uploaded", missing, 404)

    process = {"runtime": "python3", "sourceDigest": digest, "entry": "src/main.py"}
    made = api.create_function("packed", {"process": process})
    checks.status("a function that names it", made, 200)
    checks.equal("runs with its own modules", api.invoke("packed", 21).json(), 42)
    refused = api.create_function("absent", {"process": {**process, "sourceDigest": "b" * 64}})
    checks.status("a function whose source is not there", refused, 400)
    checks.contains("names the field", str(violated_fields(refused)), "process.source_digest")

    evil = io.BytesIO()
    with tarfile.open(fileobj=evil, mode="w:gz") as tar:
        link = tarfile.TarInfo("main.py")
        link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
        tar.addfile(link)
    digest = upload(suite, evil.getvalue()).json()["digest"]
    process = {**process, "sourceDigest": digest, "entry": "main.py"}
    refused = api.create_function("evil", {"process": process})
    checks.status("an archive with a link is no function's", refused, 400)
    checks.contains("which is said", refused.text(), "is a link")
    checks.contains("of its field", str(violated_fields(refused)), "process.source_digest")


def deploys(suite, api, checks):
    folder = suite.folder / "shop"
    (folder / "lib").mkdir(parents=True)
    manifest = "name: shop\nprocess: {runtime: python3}\ntimeout: 5s\nenvironment: {PLACE: here}\n"
    (folder / "penstock.yaml").write_text(manifest)
    (folder / "main.py").write_text(
        "import os\nfrom lib import prices\n"
        "def handle(ctx, p):\n    return [prices.of(p), os.environ['PLACE']]\n"
    )
    (folder / "lib" / "prices.py").write_text("def of(x):\n    return x * 3\n")

    planned = suite.cli("function", "deploy", str(folder), "--dry-run")
    checks.equal("a dry run passes", planned.returncode, 0)
    checks.contains("says what it would do", planned.stdout, '"shop" would be created')
    checks.status("and does nothing", api.get("functions", "shop"), 404)
    first = suite.cli("function", "deploy", str(folder))
    checks.equal("a folder is deployed", (first.returncode, first.stderr), (0, ""))
    checks.contains("as version 1", first.stdout, '"shop" created (READY, version 1)')
    checks.equal("and runs", invoke_deployed(api, "shop", 7).json(), [21, "here"])
    again = suite.cli("function", "deploy", str(folder))
    checks.contains("again: nothing changes", again.stdout, "unchanged (READY, version 1)")
    checks.contains("and nothing is sent", again.stdout, "is there already")
    (folder / "lib" / "prices.py").write_text("def of(x):\n    return x * 4\n")
    changed = suite.cli("function", "deploy", str(folder))
    checks.contains("a changed file makes a version", changed.stdout, "updated (READY, version 2)")
    # HTTP calls do not know what the command line changed: it is there a moment later.
    checks.eventually(
        "which calls run then", lambda: api.invoke("shop", 7).json() == [28, "here"]
    )
    breaks_and_is_mended(suite, api, checks, folder)
    (folder / "penstock.yaml").write_text(manifest + "timeot: 3s\n")
    wrong = suite.cli("function", "deploy", str(folder))
    checks.equal("a misspelt manifest is refused", wrong.returncode, 1)
    checks.contains("with file and line", wrong.stderr, "penstock.yaml:")


def breaks_and_is_mended(suite, api, checks, folder):
    """A version that does not start is FAILED with the reason, and the next is its own."""
    good = (folder / "main.py").read_text()
    (folder / "main.py").write_text("print('looking for it')\nimport no_such_module\n" + good)
    broken = suite.cli("function", "deploy", str(folder))
    checks.equal("a version that does not start fails the deploy", broken.returncode, 1)
    checks.contains("as stored", broken.stdout, '"shop" updated (FAILED, version 3)')
    checks.contains("with the reason", broken.stderr, "No module named 'no_such_module'")
    checks.contains("and the log", broken.stderr, "looking for it")
    seen = api.get("functions", "shop").json()
    checks.equal("the state is the function's", seen["state"], "FAILED")
    checks.contains("with its reason", seen["stateReason"], "no_such_module")
    listed = suite.cli("function", "list")
    checks.contains("in the list too", listed.stdout, "FAILED: ModuleNotFoundError")
    (folder / "main.py").write_text(good + "# mended\n")
    mended = suite.cli("function", "deploy", str(folder))
    checks.contains("the next one starts", mended.stdout, "updated (READY, version 4)")
    versions = suite.cli("function", "versions", "shop").stdout
    checks.equal(
        "each version has its state",
        [line.split()[:2] for line in versions.splitlines()[1:]],
        [["4", "READY"], ["3", "FAILED"], ["2", "READY"], ["1", "READY"]],
    )
    unwaited = suite.cli("function", "deploy", str(folder), "--no-wait")
    checks.contains("nothing to wait for", unwaited.stdout, "unchanged (READY, version 4)")


def compile_example(source, folder, program):
    """Whether the program could be compiled; the reason is printed when it could not."""
    command = ["g++", "-std=c++20", "-O1", "-o", folder / program, source, "-lboost_json"]
    if shutil.which("g++") is None:
        return False
    done = subprocess.run([str(part) for part in command], capture_output=True, text=True, check=False)
    print(done.stderr, end="")
    return done.returncode == 0


def speaks_the_line_protocol(suite, api, checks):
    for language, needs in (("python", "python3"), ("node", "node"), ("perl", "perl"), ("cpp", "g++")):
        if shutil.which(needs) is None:
            print(f"skipped: the example in {language} needs {needs}, which this machine lacks")
            continue
        folder = suite.folder / "examples" / language
        shutil.copytree(EXAMPLES / language, folder)
        if language == "cpp" and not checks.that(
            "the example in C++ compiles", compile_example(folder / "greet.cc", folder, "greet")
        ):
            continue
        deployed = suite.cli("function", "deploy", str(folder))
        checks.equal(f"{language}: is deployed", (deployed.returncode, deployed.stderr), (0, ""))
        answer = invoke_deployed(api, f"greet-{language}", {"name": "Ada"})
        checks.equal(f"{language}: answers", answer.json(), {"hello": "Ada", "from": language})
        record = record_of(api, answer)
        checks.equal(f"{language}: logs", record["logs"]["stderr"], ["greeting Ada"])
        blamed = api.invoke(f"greet-{language}", {})
        checks.status(f"{language}: blames its caller", blamed, 400)


def invoke_deployed(api, name, payload):
    """The answer of a function that the command line has made, of which HTTP calls learn a moment later."""
    wait_until(lambda: api.invoke(name, payload).status == 200, 10, f"{name} can be called")
    return api.invoke(name, payload)


def record_of(api, answer):
    return api.get("executions", answer.header("Penstock-Execution", "/").rsplit("/", 1)[1]).json()


FORKS = """
import os, time
def handle(ctx, p):
    for _ in range(5):
        if os.fork() == 0:
            os.execv("/bin/sleep", ["sleep", "600"])
    if p.get("crash"):
        os._exit(1)
    time.sleep(600)
"""
LEAKS = """
kept = []
def handle(ctx, p):
    while True:
        kept.append(bytearray(b"x" * 1000000))
"""
BY_BYTE = """#!/usr/bin/python3 -u
import os, sys, time
for line in sys.stdin:
    for byte in b'{"payload": "slowly"}\\n':
        os.write(1, bytes([byte]))
        time.sleep(0.001)
"""
CLOSES_EARLY = """#!/usr/bin/python3
import os, sys, time
sys.stdin.readline()
os.write(1, b'{"payload": ')
os.close(1)
time.sleep(600)
"""
FLOODS = """#!/bin/sh
read line
exec cat /dev/zero
"""


def survives_faults(suite, api, checks):
    def create(name, runtime, source, **more):
        process = {"runtime": runtime, "source": source, **more.pop("process", {})}
        checks.status(f"{name}: created", api.create_function(name, {"process": process, **more}), 200)

    def fails(name, payload, kinds):
        answer = api.invoke(name, payload, timeout=60)
        kind = record_of(api, answer).get("error", {}).get("type")
        checks.that(f"{name}: ends with one of {kinds}", kind in kinds, (answer.status, kind))

    create("forks", "python3", FORKS, timeout="1s")
    fails("forks", {"crash": True}, {"Crashed"})
    fails("forks", {}, {"Timeout"})
    create("leaks", "python3", LEAKS, timeout="20s", process={"maxMemoryBytes": str(64 << 20)})
    fails("leaks", {}, {"MemoryError", "Crashed"})
    create("by-byte", "exec", BY_BYTE)
    checks.equal("a function that answers byte by byte", api.invoke("by-byte", 1).json(), "slowly")
    create("closes", "exec", CLOSES_EARLY, timeout="2s")
    fails("closes", {}, {"Crashed", "Timeout", "InvalidAnswer"})
    create("floods", "exec", FLOODS, timeout="5s")
    fails("floods", {}, {"OutputTooLarge"})
    create(
        "spins", "python3", "def handle(ctx, p):\n    while True: pass\n", process={"maxCpuTime": "0.3s"}
    )
    fails("spins", {}, {"CpuTimeExceeded"})
    checks.eventually("nothing that they started is left", lambda: not children_of(suite), 10)


def children_of(suite):
    """Processes that functions started, which sleep for ten minutes below the suite's folder."""
    found = []
    for entry in pathlib.Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        try:
            is_ours = str(suite.folder) in os.readlink(entry / "cwd")
            if is_ours and b"sleep\x00600" in (entry / "cmdline").read_bytes():
                found.append(entry.name)
        except OSError:
            continue
    return found


COUNTS = """
import os, time
FOLDER = os.environ["FOLDER"]
def handle(ctx, p):
    mine = os.path.join(FOLDER, str(os.getpid()))
    open(mine, "w").close()
    try:
        seen = len(os.listdir(FOLDER))
        time.sleep(0.002)
        return seen
    finally:
        os.unlink(mine)
"""


def crowd(suite, api, checks):
    """Many more calls than a function allows at once: each ends, and never do more run than allowed."""
    folder = suite.folder / "running"
    folder.mkdir()
    process = {"runtime": "python3", "source": COUNTS, "maxWorkers": LIMIT, "minWorkers": LIMIT}
    spec = {"process": process, "maxConcurrency": LIMIT, "environment": {"FOLDER": str(folder)}}
    checks.status("a function for ten", api.create_function("ten", spec), 200)
    checks.status("which answers", api.invoke("ten", 0), 200)
    results = []
    gate = threading.Barrier(CALLS_AT_ONCE)

    def call():
        client = Api(HttpClient(suite.ports["http"], timeout=120))
        gate.wait(60)
        answer = client.invoke("ten", 0, timeout=120)
        results.append((answer.status, answer.json() if answer.status == 200 else answer.text()))

    threading.stack_size(256 << 10)
    threads = [threading.Thread(target=call) for _ in range(CALLS_AT_ONCE)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(150)
    threading.stack_size(0)
    good = [value for status, value in results if status == 200]
    checks.equal("each call ends", len(results), CALLS_AT_ONCE)
    checks.that(
        "with a result or with 429", {status for status, _ in results} <= {200, 429}, results[:3]
    )
    checks.that("many with a result", len(good) >= LIMIT, len(good))
    checks.that("never more than ten at once", good and max(good) <= LIMIT, sorted(set(good)))


def executor_is_killed(suite, api, checks):
    """kill -9 while calls run: each call ends, nothing of a function stays, and what was recorded is whole."""
    name = "up" if suite.shape == "up" else "function-executor"
    source = "import os, time\ndef handle(ctx, p):\n    time.sleep(p)\n    return os.getpid()\n"
    process = {"runtime": "python3", "source": source, "maxWorkers": 8, "minWorkers": 2}
    checks.status("a function to be killed", api.create_function("doomed", {"process": process}), 200)
    finished = [api.invoke("doomed", 0) for _ in range(5)]
    for answer in finished:
        checks.equal("is recorded", record_of(api, answer).get("state"), "SUCCEEDED")
    ended = []

    def call():
        try:
            ended.append(Api(HttpClient(suite.ports["http"], timeout=60)).invoke("doomed", 600).status)
        except (OSError, http.client.HTTPException) as error:
            ended.append(type(error).__name__)

    threads = [threading.Thread(target=call) for _ in range(8)]
    for thread in threads:
        thread.start()
    checks.eventually(
        "all calls run", lambda: len(api.executions(state="RUNNING")) == 8
    )
    workers = workers_of(suite)
    checks.that("in workers", len(workers) >= 8, workers)
    # A power cut may lose the last moment of records, so may a kill.
    checks.eventually("what ended is on disk", lambda: recorded_on_disk(suite) >= 5)
    suite.processes[name].kill()
    for thread in threads:
        thread.join(60)
    checks.equal("each call has ended", len(ended), 8)
    checks.that("none with a result", 200 not in ended, ended)
    checks.eventually("no worker is left", lambda: not alive(workers), 10)
    suite.start(name)
    suite.wait_connected()
    for answer in finished:
        checks.equal("a record is there after the restart", record_of(api, answer).get("state"), "SUCCEEDED")
    running = api.executions(state="RUNNING")
    checks.equal("none says that it still runs", running, [])
    checks.status("the function runs again", api.invoke("doomed", 0), 200)


def workers_of(suite):
    pids = []
    for entry in pathlib.Path("/proc").iterdir():
        try:
            command = (entry / "cmdline").read_bytes() if entry.name.isdigit() else b""
        except OSError:
            continue
        if str(suite.folder).encode() in command and b"/.penstock/bootstrap" in command:
            pids.append(int(entry.name))
    return pids


def alive(pids):
    return [pid for pid in pids if pathlib.Path(f"/proc/{pid}").exists()]


def recorded_on_disk(suite):
    files = list(suite.folder.rglob("executions.db"))
    with sqlite3.connect(f"file:{files[0]}?mode=ro", uri=True) as database:
        return database.execute("SELECT count(*) FROM executions").fetchone()[0]


def test(suite, checks):
    api = Api(suite.http)
    with checks.section("sources by digest"):
        sources_by_digest(suite, api, checks)
    with checks.section("deploy"):
        deploys(suite, api, checks)
    with checks.section("the line protocol"):
        speaks_the_line_protocol(suite, api, checks)
    with checks.section("faults"):
        survives_faults(suite, api, checks)
    with checks.section("a crowd"):
        crowd(suite, api, checks)
    with checks.section("a killed executor"):
        executor_is_killed(suite, api, checks)


if __name__ == "__main__":
    run_with_suite(test)
