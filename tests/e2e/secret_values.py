"""Secrets: functions get them, changes and rotations take effect, and no value is found anywhere else."""

import base64
import hashlib
import json
import pathlib
import stat
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))

from penstock_test.api import Api
from penstock_test.checks import wait_until
from penstock_test.suite import run_with_suite

FIRST = "s3cr3t-Value-0ne-7f2a"
SECOND = "s3cr3t-Value-Tw0-91cc"
OTHER = "0ther-s3cr3t-Value-55d1"
PRINTS = """
import hashlib, sys

def handle(ctx, payload):
    value = ctx["secrets"]["db"]["password"]
    print("printing", value)
    print("printing", value, file=sys.stderr)
    if payload == "leak":
        return {"leaked": value}
    if payload == "fail":
        raise ValueError("cannot log in with " + value)
    return {"hash": hashlib.sha256(value.encode()).hexdigest(), "has": sorted(ctx["secrets"])}
"""


def digest(value):
    return hashlib.sha256(value.encode()).hexdigest()


def set_value(api, value, method="patch"):
    body = {"values": {"password": value}}
    if method == "post":
        return api.http.post(f"{api.root}/secrets?secretId=db", json_body=body)
    return api.http.patch(f"{api.root}/secrets/db?updateMask=values", body)


def use(api, checks, seen):
    made = set_value(api, FIRST, "post")
    checks.status("a secret", made, 200)
    checks.equal("its answer has the keys", made.json().get("keys"), ["password"])
    checks.that("and no values", not made.json().get("values"), made.text())
    api.http.post(f"{api.root}/secrets?secretId=other", json_body={"values": {"k": OTHER}})
    unknown = api.create_python("bad", PRINTS, secrets=["db", "none"])
    checks.status("a function cannot name what is not there", unknown, 400)
    checks.contains("and is told which", unknown.text(), "function.secrets[1]")
    checks.status("a function", api.create_python("f", PRINTS, secrets=["db"]), 200)
    answer = api.invoke("f", "1")
    checks.equal("is given the value, and no other secret", answer.json(), {"hash": digest(FIRST), "has": ["db"]})
    wrong = []
    for turn in range(30):
        value = SECOND if turn % 2 == 0 else FIRST
        changed = set_value(api, value)
        seen.append(changed.text())
        got = api.invoke("f", "1")
        if got.json().get("hash") != digest(value):
            wrong.append(str(got))
    checks.that("30 changes, each from the next call on", not wrong, wrong[:3])
    leaked = api.invoke("f", '"leak"')
    checks.equal("a function may answer with it", leaked.json(), {"leaked": FIRST})
    failed = api.invoke("f", '"fail"')
    checks.contains("an error is cleaned", failed.text(), "[secret db.password]")
    seen.append(failed.text())
    api.subscribe("s", "a.b", "f")
    api.publish("a.b", "fail", event_id="one")
    wait_until(lambda: api.executions(eventId="one"), 20, "the delivery")


def rotate(suite, api, checks):
    # `up` makes its own, in its data folder.
    key_file = suite.secrets_key
    done = suite.cli("secret", "rotate-key")
    checks.equal("the key is rotated", done.returncode, 0)
    checks.contains("and every value", done.stdout, "2 values")
    checks.equal("calls go on", api.invoke("f", "1").json().get("hash"), digest(FIRST))
    checks.equal("its file is its owner's alone", stat.S_IMODE(key_file.stat().st_mode), 0o600)
    checks.equal("with one key", len(key_file.read_text(encoding="utf-8").split()), 1)
    suite.stop()
    suite.start()
    again = api.invoke("f", "1")
    checks.equal("and after a restart", again.json().get("hash"), digest(FIRST))


def command_line(suite, api, checks, seen):
    def run(*arguments, code=0, **more):
        done = suite.cli(*arguments, **more)
        checks.equal(f"penstock {' '.join(arguments)}", done.returncode, code)
        seen.append(done.stdout + done.stderr)
        return done.stdout + done.stderr

    run("secret", "set", "db", "password", stdin=SECOND + "\n")
    # The command line speaks gRPC. A client of that says itself which revision it needs; HTTP calls see such a change
    # a moment later.
    checks.eventually(
        "without the line end",
        lambda: api.invoke("f", "1").json().get("hash") == digest(SECOND),
    )
    checks.contains("the list has keys", run("secret", "list"), "password")
    run("secret", "list", "-o", "json")
    run("function", "get", "f", "-o", "json")
    run("function", "logs", "f")
    run("executions", "list", "-o", "json")
    checks.contains("what is in use stays", run("secret", "delete", "db", code=1), "functions/f@1")
    run("function", "update", "f", "--secret", "")
    run("secret", "delete", "other")
    run("secret", "set", "db", "password", code=2, stdin="")


def forms_of(value):
    plain = value.encode()
    return [plain, base64.b64encode(plain)[:-4], plain.hex().encode(), json.dumps(value).encode()[1:-1]]


def search(suite, api, checks, seen):
    # What functions answered is theirs to say: only records, not the call's answer, are looked at.
    for name in ("executions", "functions", "functions/f/versions", "secrets", "deadLetters"):
        seen.append(api.http.get(f"{api.root}/{name}").text())
    for run in api.executions():
        seen.append(api.http.get(f"/api/v1/{run['name']}").text())
    suite.stop()
    found, controls = [], []
    for path in sorted(suite.folder.rglob("*")):
        if not path.is_file():
            continue
        content = path.read_bytes()
        controls += [str(path)] if b"[secret db.password]" in content else []
        for value in (FIRST, SECOND, OTHER):
            found += [str(path) for form in forms_of(value) if form in content]
    checks.that("no file holds a value: databases, logs, records", not found, sorted(set(found)))
    spoken = [text for text in seen for value in (FIRST, SECOND, OTHER) if value in text]
    checks.that("no answer does, nor the command line", not spoken, [text[:300] for text in spoken[:3]])
    kept = any("printing [secret db.password]" in text for text in seen)
    checks.that("the records were among them", kept, len(seen))
    checks.that("and the database", any("executions.db" in path for path in controls), controls)


def main(suite, checks):
    api = Api(suite.http)
    seen = []
    use(api, checks, seen)
    rotate(suite, api, checks)
    command_line(suite, api, checks, seen)
    search(suite, api, checks, seen)


if __name__ == "__main__":
    run_with_suite(main, has_secrets=True)
