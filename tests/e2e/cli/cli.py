"""Every command of the command-line client against a running suite."""

import json
import pathlib
import subprocess
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "support"))

from penstock_test.checks import wait_until
from penstock_test.process import bin_dir
from penstock_test.suite import run_with_suite

HELLO = """
import penstock

def handle(ctx, payload):
    print("hello", payload)
    if payload == "bug":
        raise ValueError("this is a bug")
    if payload == "input":
        raise penstock.InputError("not that")
    return {"hello": payload}
"""
DOCUMENTS = """
kind: Function
name: applied
metadata:
  team: shop
spec:
  description: made by a file
  process:
    runtime: python3
    sourceFile: hello.py
---
kind: Subscription
name: applied-s
spec:
  eventType: applied.*
  function: applied
  filters:
    - exact: {source: /shop}
"""
OK, ERROR, USAGE, NOT_REACHABLE, FUNCTION_FAILED = 0, 1, 2, 3, 4


class Cli:
    """Runs commands and checks their exit codes."""

    def __init__(self, suite, checks):
        self._suite = suite
        self._checks = checks

    def __call__(self, *arguments, code=OK, **more):
        done = self._suite.cli(*arguments, **more)
        shown = " ".join(part if len(part) < 40 else part[:37] + "…" for part in arguments)
        self._checks.that(
            f"penstock {shown} exits {code}",
            done.returncode == code,
            f"{done.returncode}: {done.stdout}{done.stderr}",
        )
        return done

    def json(self, *arguments, **more):
        return json.loads(self(*arguments, "-o", "json", **more).stdout)


def functions(suite, cli, checks):
    source = suite.folder / "hello.py"
    source.write_text(HELLO, encoding="utf-8")
    made = cli(
        "function", "create", "hello", "--source", str(source), "--subscribe", "user.created"
    )
    checks.contains("a first function takes one command", made.stdout, "hello")
    checks.contains("and its subscription", made.stdout, "hello-1")
    cli(
        "function",
        "create",
        "nothing",
        "--noop",
        "--metadata",
        "team=web",
        "--description",
        "nothing at all",
    )
    cli("function", "create", "hook", "--url", "http://127.0.0.1:1/")
    again = cli("function", "create", "nothing", "--noop", code=ERROR)
    checks.contains("an id that is taken is an error", again.stderr, "error:")
    listed = cli("function", "list").stdout
    checks.that(
        "the table has a head and lines", listed.startswith("NAME") and "hello" in listed, listed
    )
    names = [one["name"].rsplit("/", 1)[1] for one in cli.json("function", "list")["functions"]]
    checks.equal("as JSON", names, ["hello", "hook", "nothing"])
    web = cli.json("function", "list", "--metadata", "team=web")["functions"]
    checks.equal("filtered", len(web), 1)
    checks.contains("as YAML", cli("function", "get", "nothing", "-o", "yaml").stdout, "noop")
    cli("function", "update", "nothing", "--description", "still nothing")
    checks.equal(
        "an update changes", cli.json("function", "get", "nothing")["description"], "still nothing"
    )
    checks.equal(
        "only what is given", cli.json("function", "get", "nothing")["metadata"], {"team": "web"}
    )
    missing = cli("function", "get", "nobody", code=ERROR)
    checks.contains("an unknown one is named", missing.stderr, "nobody")
    cli("function", "delete", "hook")
    cli("function", "delete", "hook", code=ERROR)
    cli("function", "delete", "hook", "--ignore-missing")
    cli("function", "create", "x", code=USAGE)
    cli("function", "create", "bad", "--url", "nonsense", code=ERROR)
    cli("function", "dance", code=USAGE)


def invoking(suite, cli, checks):
    answer = cli("function", "invoke", "hello", "--data", '{"a": 1}')
    checks.equal("the answer is on standard output", json.loads(answer.stdout), {"hello": {"a": 1}})
    checks.contains("the log on standard error", answer.stderr, "hello {'a': 1}")
    quiet = cli("function", "invoke", "hello", "--data", "1", "--no-logs")
    checks.equal("unless it is not wanted", quiet.stderr, "")
    checks.equal(
        "standard input",
        json.loads(cli("function", "invoke", "hello", "--data", "-", stdin="2").stdout),
        {"hello": 2},
    )
    file = suite.folder / "data.json"
    file.write_text('"bug"', encoding="utf-8")
    failed = cli("function", "invoke", "hello", "--data", f"@{file}", code=FUNCTION_FAILED)
    for part in ("FunctionError", "ValueError", "this is a bug", "line"):
        checks.contains(f"a failed function says {part}", failed.stderr, part)
    refused = cli("function", "invoke", "hello", "--data", '"input"', code=FUNCTION_FAILED)
    checks.contains("an input error too", refused.stderr, "InputError")
    cli("function", "invoke", "nobody", code=ERROR)
    logs = cli("function", "logs", "hello").stdout
    checks.contains("logs show what it wrote", logs, "hello {'a': 1}")


def events(suite, cli, checks):
    del suite
    receipt = cli(
        "emit",
        "user.created",
        "--data",
        '{"name": "Ada"}',
        "--id",
        "cli-1",
        "--subject",
        "users/1",
        "--extension",
        "tenant=acme",
    )
    checks.contains("emit prints the receipt", receipt.stdout, "cli-1")
    checks.contains("which says accepted", receipt.stdout.upper(), "ACCEPTED")
    again = cli("emit", "user.created", "--data", '{"name": "Ada"}', "--id", "cli-1")
    checks.contains("again is a duplicate", again.stdout.upper(), "DUPLICATE")
    cli("emit", "counted.event", "--count", "25", "--data", "1")
    cli("emit", "", "--data", "1", code=ERROR)
    listed = cli("events", "list", "--type", "user.*").stdout
    checks.contains("events are listed", listed, "cli-1")
    counted = cli.json("events", "list", "--type", "counted.event", "--limit", "0")["events"]
    checks.equal("all of them", len(counted), 25)
    event = cli.json("events", "get", "cli-1")
    checks.equal("one is shown", event["event"]["data"], {"name": "Ada"})
    checks.equal("with its extension", event["event"]["tenant"], "acme")
    cli("events", "get", "nobody", code=ERROR)

    def ran():
        return cli.json("executions", "list", "--event-id", "cli-1").get("executions")

    found = checks.eventually("the event's execution is listed", ran)
    if found:
        execution = found[0]["name"].rsplit("/", 1)[1]
        shown = cli("executions", "get", execution).stdout
        checks.contains("and shown", shown, "hello")
    failed = cli.json("executions", "list", "--state", "failed", "--function", "hello")[
        "executions"
    ]
    checks.that(
        "failed ones can be filtered",
        failed and all(one["state"] == "FAILED" for one in failed),
        failed,
    )
    cli("executions", "list", "--state", "lost", code=USAGE)


def tailing(suite, cli, checks):
    environment = {"PATH": "/usr/bin:/bin", "PENSTOCK_SERVER": f"127.0.0.1:{suite.ports['grpc']}"}
    command = [
        bin_dir() / "penstock",
        "events",
        "tail",
        "--type",
        "tail.*",
        "--limit",
        "1",
        "-o",
        "json",
    ]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment
    ) as tail:
        # Until the tail is there its events cannot be seen: one after the other is published.
        deadline = time.monotonic() + 20
        while tail.poll() is None and time.monotonic() < deadline:
            suite.cli("emit", "tail.one", "--data", '{"n": 1}')
            try:
                tail.wait(0.2)
            except subprocess.TimeoutExpired:
                continue
        checks.equal("a tail with a limit ends by itself", tail.poll(), 0)
        tail.kill()
        line = tail.stdout.readline()
    event = json.loads(line) if line else {}
    checks.equal("one CloudEvent a line", event.get("type"), "tail.one")


def dead_letters(suite, cli, checks):
    del suite
    cli(
        "subscription",
        "create",
        "doomed",
        "--type",
        "doomed.*",
        "--function",
        "hello",
        "--max-attempts",
        "1",
    )
    cli("emit", "doomed.one", "--data", '"bug"', "--id", "doomed-1")
    letters = checks.eventually(
        "a failed delivery is a dead letter",
        lambda: cli.json("deadletters", "list", "--subscription", "doomed").get("deadLetters"),
    )
    if not letters:
        return
    letter = letters[0]["name"].rsplit("/", 1)[1]
    checks.contains("the table shows why", cli("deadletters", "list").stdout, "ValueError")
    checks.contains(
        "and one shows the attempts", cli("deadletters", "get", letter).stdout, "this is a bug"
    )
    checks.contains(
        "it can be redriven", cli("deadletters", "redrive", letter).stdout, "1 on their way again"
    )
    checks.eventually("and fails again", lambda: cli.json("deadletters", "list").get("deadLetters"))
    cli("deadletters", "purge", code=USAGE)
    checks.contains(
        "or purged", cli("deadletters", "purge", "--subscription", "doomed").stdout, "1 deleted"
    )


def subscriptions(suite, cli, checks):
    cli(
        "subscription",
        "create",
        "s1",
        "--type",
        "a.*",
        "--function",
        "nothing",
        "--exact",
        "source=/x",
    )
    cli("subscription", "create", "s2", "--route", "GET /cli/:name", "--function", "nothing")
    checks.status("a route works", suite.http.get("/cli/x"), 200)
    listed = cli("subscription", "list", "--function", "nothing").stdout
    checks.that("both are listed", "s1" in listed and "s2" in listed, listed)
    one = cli.json("subscription", "get", "s1")
    checks.equal("with its filter", one["filters"], [{"exact": {"source": "/x"}}])
    cli("subscription", "create", "s3", "--type", "a", "--function", "nobody", code=ERROR)
    cli("subscription", "create", "s3", "--function", "nothing", code=USAGE)
    cli("subscription", "pause", "s1")
    checks.equal("a paused one says so", cli.json("subscription", "get", "s1")["state"], "PAUSED")
    cli("subscription", "resume", "s1")
    checks.equal("resumed", cli.json("subscription", "get", "s1")["state"], "ACTIVE")
    in_use = cli("function", "delete", "nothing", code=ERROR)
    checks.that(
        "a function in use names its subscription",
        "s1" in in_use.stderr or "s2" in in_use.stderr,
        in_use.stderr,
    )
    cli("subscription", "delete", "s1")
    cli("subscription", "delete", "s1", code=ERROR)
    cli("subscription", "delete", "s2")


def applying(suite, cli, checks):
    file = suite.folder / "app.yaml"
    file.write_text(DOCUMENTS, encoding="utf-8")
    dry = cli("apply", "-f", str(file), "--dry-run").stdout
    checks.contains("a dry run says what it would do", dry, "created")
    cli("function", "get", "applied", code=ERROR)
    first = cli("apply", "-f", str(file)).stdout
    checks.equal("apply creates", first.count("created"), 2)
    second = cli("apply", "-f", str(file)).stdout
    checks.equal("again, nothing changes", second.count("unchanged"), 2)
    etag = cli.json("function", "get", "applied")["etag"]
    file.write_text(DOCUMENTS.replace("made by a file", "changed"), encoding="utf-8")
    third = cli("apply", "-f", str(file)).stdout
    checks.that("a change is applied", "configured" in third and "unchanged" in third, third)
    checks.that("to the function", cli.json("function", "get", "applied")["etag"] != etag)
    printed = cli("function", "get", "applied", "-o", "yaml").stdout
    same = cli("apply", "-f", "-", stdin=printed).stdout
    checks.contains("what get prints can be applied", same, "unchanged")
    broken = DOCUMENTS.replace("runtime: python3", "runtime: cobol")
    wrong = suite.folder / "wrong.yaml"
    wrong.write_text(broken, encoding="utf-8")
    failed = cli("apply", "-f", str(wrong), code=ERROR)
    checks.contains("an error names the field", failed.stderr + failed.stdout, "runtime")
    typo = cli("apply", "-f", "-", stdin="kind: Function\nname: x\nspec:\n  nop: {}\n", code=ERROR)
    checks.contains("and file and line", typo.stderr + typo.stdout, ":4")
    cli("apply", "-f", str(suite.folder / "missing.yaml"), code=ERROR)
    cli("delete", "-f", str(file))
    cli("function", "get", "applied", code=ERROR)


def the_rest(suite, cli, checks):
    status = cli("status").stdout
    for name in ("gateway", "event-broker", "function-manager", "function-executor"):
        checks.contains(f"status shows the {name}", status, name)
    checks.contains("version", cli("version").stdout, "penstock ")
    for shell in ("bash", "zsh", "fish"):
        checks.contains(f"completion for {shell}", cli("completion", shell).stdout, "deadletters")
    checked = subprocess.run(
        ["bash", "-n"],
        input=cli("completion", "bash").stdout,
        text=True,
        capture_output=True,
        check=False,
    )
    checks.equal("bash takes its completion", checked.returncode, 0)
    for command in ([], ["function"], ["emit"], ["apply"], ["up"], ["deadletters", "redrive"]):
        text = cli(*command, "--help").stdout
        checks.that(
            f"help of {command or 'penstock'} has examples",
            "Examples" in text or "penstock " in text,
            text,
        )
    away = suite.cli("--server", "127.0.0.1:1", "function", "list")
    checks.equal("no server: exit code 3", away.returncode, NOT_REACHABLE)
    checks.contains("and a hint", away.stderr, "penstock up")
    cli("function", "list", "--space", "x", code=ERROR)
    other = cli.json("function", "list", "--space", "other-space").get("functions", [])
    checks.equal("another space is empty", other, [])
    cli("--timeout", "soon", "function", "list", code=USAGE)


def test(suite, checks):
    cli = Cli(suite, checks)
    wait_until(lambda: suite.cli("status").returncode == 0, 20, "status")
    for part in (
        functions,
        invoking,
        events,
        tailing,
        dead_letters,
        subscriptions,
        applying,
        the_rest,
    ):
        with checks.section(part.__name__.replace("_", " ")):
            part(suite, cli, checks)


if __name__ == "__main__":
    run_with_suite(test)
