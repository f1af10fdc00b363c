"""Versions of functions: canaries, rollbacks, aliases, and that no call is lost while traffic moves."""

import pathlib
import sys
import threading

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))

from penstock_test.api import Api
from penstock_test.checks import wait_until
from penstock_test.suite import run_with_suite

CALLS = 10_000
SWITCHES = 20
CALLERS = 4


def source(text):
    return f"def handle(ctx, payload):\n    return {{'says': {text!r}, 'version': ctx['version']}}\n"


def describe(api, name, text):
    return seen(api.update("functions", name, {"description": text}, mask="description"))


def make_versions(api, name, spec, versions):
    api.create_function(name, spec)
    for number in range(2, versions + 1):
        describe(api, name, f"version {number}")


def set_traffic(api, name, *split):
    targets = [{"version": version, "percent": percent} for version, percent in split]
    answer = api.http.post(
        f"{api.root}/functions/{name}:setTraffic", json_body={"targets": targets}
    )
    return seen(answer)


# A gRPC call says itself which change it has seen; over HTTP the gateway does that.
revision = []


def seen(answer):
    revision[:] = [("penstock-min-revision", answer.header("Penstock-Revision"))]
    return answer


def ran(suite, name, **more):
    request = {"name": f"spaces/default/functions/{name}", **more}
    return suite.grpc.call("executor", "Invoke", request, metadata=revision).function_version


def ran_later(api, name, key):
    """The version that an asynchronous call with this key ran."""
    path = f"{api.root}/functions/{name}:invokeAsync"
    started = api.http.post(path, json_body={}, headers={"Penstock-Sticky-Key": key})
    execution = started.json()["execution"].rsplit("/", 1)[1]

    def done():
        record = api.get("executions", execution).json()
        return record if record.get("state") == "SUCCEEDED" else None

    return int(wait_until(done, 20, "the call")["functionVersion"])


def canary(suite, api, checks):
    make_versions(api, "canary", {"noop": {}}, 2)
    checks.equal("the newest version gets all calls", ran(suite, "canary"), 2)
    checks.status("a canary is one call", set_traffic(api, "canary", (1, 95), (2, 5)), 200)
    new = sum(ran(suite, "canary") == 2 for _ in range(CALLS))
    share = 100 * new / CALLS
    checks.that(f"{CALLS} calls at 5 %: within 1 point", abs(share - 5) <= 1, f"{share} %")
    checks.status("to 100 % is one more", set_traffic(api, "canary", (2, 100)), 200)
    checks.equal("from the next call on", {ran(suite, "canary") for _ in range(100)}, {2})

    set_traffic(api, "canary", (1, 50), (2, 50))
    keys = [f"user-{number}" for number in range(40)]
    first = [ran(suite, "canary", sticky_key=key) for key in keys]
    checks.equal("a key keeps its version", [ran(suite, "canary", sticky_key=k) for k in keys], first)
    checks.equal("keys are split too", set(first), {1, 2})
    kept = [ran_later(api, "canary", key) for key in keys[:8]]
    checks.equal("also when nobody waits for the call", kept, first[:8])
    make_versions(api, "echo", {"process": {"runtime": "python3", "source": source("a")}}, 2)
    set_traffic(api, "echo", (1, 50), (2, 50))
    for headers in ({"Penstock-Sticky-Key": "a"}, {"Penstock-Sticky-Key": "b"}):
        answers = set()
        for path in (f"{api.root}/functions/echo:invoke", "/_invoke"):
            for _ in range(10):
                more = {"Function-ID": "echo", **headers}
                answers.add(api.http.post(path, "{}", headers=more).json()["version"])
        checks.equal(f"over HTTP by {headers}, on both paths", len(answers), 1)


def pinned(suite, api, checks):
    make_versions(api, "pinned", {"noop": {}}, 2)
    set_traffic(api, "pinned", (2, 100))
    describe(api, "pinned", "3")
    checks.equal("a new version gets no calls while a split stands", ran(suite, "pinned"), 2)
    checks.status("until it is cleared", set_traffic(api, "pinned"), 200)
    checks.equal("then the newest has them", ran(suite, "pinned"), 3)
    wrong = []
    for _ in range(50):
        back = seen(api.http.post(f"{api.root}/functions/pinned:rollback", json_body={}))
        version = back.json().get("traffic", [{}])[0].get("version")
        wrong += [] if str(ran(suite, "pinned")) == version == "2" else [str(back)]
        set_traffic(api, "pinned")
        wrong += [] if ran(suite, "pinned") == 3 else ["not forward"]
    checks.that("50 rollbacks and returns, each from the next call on", not wrong, wrong[:3])


def switching(api, checks):
    make_versions(api, "busy", {"process": {"runtime": "python3", "source": source("x")}}, 2)
    set_traffic(api, "busy", (1, 100))
    api.invoke("busy", {})
    ending = threading.Event()
    lost, counts = [], [0] * CALLERS

    def call(number):
        while not ending.is_set():
            answer = api.invoke("busy", {"n": number})
            counts[number] += 1
            if answer.status != 200 or answer.json()["version"] not in (1, 2):
                lost.append(str(answer))

    callers = [threading.Thread(target=call, args=(number,)) for number in range(CALLERS)]
    for caller in callers:
        caller.start()
    wrong = []
    for turn in range(SWITCHES):
        version = 2 - turn % 2
        before = sum(counts)
        set_traffic(api, "busy", (version, 100))
        next_one = api.invoke("busy", {})
        is_right = next_one.status == 200 and next_one.json()["version"] == version
        wrong += [] if is_right else [str(next_one)]
        wait_until(lambda start=before: sum(counts) > start + CALLERS, 20, "calls go on")
    ending.set()
    for caller in callers:
        caller.join()
    checks.that(f"no call of {sum(counts)} is lost in {SWITCHES} switches", not lost, lost[:3])
    checks.that("each switch is true for the next call", not wrong, wrong[:3])


def aliases(suite, api, checks):
    make_versions(api, "named", {"noop": {}}, 3)
    alias = "functions/named/aliases/prod"
    made = seen(api.http.patch(f"{api.root}/{alias}", {"version": 1}))
    checks.status("an alias", made, 200)
    checks.equal("a call by alias", ran(suite, "named@prod"), 1)
    checks.equal("a call by version", ran(suite, "named@2"), 2)
    checks.status("over REST", api.invoke("named@prod", {}), 200)
    missing = api.invoke("named@beta", {})
    checks.status("an unknown one is 404", missing, 404)
    checks.contains("and says what there is", missing.text(), "1 2 3 prod")
    checks.status("a version can be read", api.get("functions", "named@2"), 200)

    checks.status("a subscription by alias", api.subscribe("s", "a.b", "named@prod"), 200)
    refused = api.subscribe("t", "a.b", "named@beta")
    checks.status("not by one that is not there", refused, 400)
    for event, version in (("one", 1), ("two", 3)):
        api.publish("a.b", {}, event_id=event)

        def runs(wanted=event):
            return api.executions(eventId=wanted, state="SUCCEEDED")

        wait_until(runs, 20, "the delivery")
        checks.equal(f"event {event} runs it", runs()[0]["functionVersion"], str(version))
        seen(api.http.patch(f"{api.root}/{alias}", {"version": 3}))
        # An event asks for no revision: a call that does tells that the executor knows it.
        checks.equal("the alias moves", ran(suite, "named@prod"), 3)
    held = api.http.delete(f"{api.root}/{alias}")
    checks.status("an alias in use stays", held, 400)
    checks.contains("saying by what", held.text(), "subscriptions/s")
    checks.status("a function in use stays", api.delete("functions", "named"), 400)
    api.delete("subscriptions", "s")
    checks.status("then the alias goes", api.http.delete(f"{api.root}/{alias}"), 200)


def weighted(suite, api, checks):
    def split(*targets):
        named = [{"function": function, "weight": weight} for function, weight in targets]
        return {"weighted": {"targets": named}}

    def chosen(**more):
        request = {"name": "spaces/default/functions/split", **more}
        answer = suite.grpc.call("executor", "Invoke", request, metadata=revision)
        name = f"{api.root}/executions/{answer.execution.rpartition('/')[2]}"
        return api.http.get(name).json()["function"].rpartition("/")[2]

    for name in ("old", "new"):
        api.create_function(name, {"noop": {}})
    missing = api.create_function("split", split(("old", 95), ("none", 5)))
    checks.status("a split over what is not there", missing, 400)
    checks.contains("says which", missing.text(), "function.weighted.targets[1].function")
    seen(api.create_function("split", split(("old", 90), ("new", 10))))
    calls = [chosen() for _ in range(500)]
    checks.that("a tenth of the calls", 20 <= calls.count("new") <= 85, calls.count("new"))
    checks.equal("and the others", calls.count("new") + calls.count("old"), 500)
    checks.equal("a key stays", len({chosen(sticky_key="me") for _ in range(20)}), 1)
    seen(api.update("functions", "split", split(("old", 0), ("new", 1)), mask="weighted"))
    checks.equal("all of them by one call", {chosen() for _ in range(50)}, {"new"})
    checks.status("over HTTP", api.invoke("split", {"a": 1}), 200)
    held = api.delete("functions", "new")
    checks.status("what gets calls stays", held, 400)
    checks.contains("saying by what", held.text(), "functions/split@2")
    api.subscribe("by-split", "split.event", "split")
    api.publish("split.event", {}, event_id="split-1")

    def delivered():
        return [record["function"] for record in api.executions(eventId="split-1")]

    wait_until(delivered, 20, "the delivery")
    checks.equal("an event too", delivered(), ["spaces/default/functions/new"])
    api.delete("subscriptions", "by-split")
    checks.status("the split goes", api.delete("functions", "split"), 200)
    checks.status("then its target", api.delete("functions", "new"), 200)


def cli(suite, checks):
    def run(*arguments):
        done = suite.cli("function", *arguments)
        checks.equal(f"penstock function {' '.join(arguments)}", done.returncode, 0)
        return done.stdout + done.stderr

    run("create", "tool", "--noop")
    run("update", "tool", "--description", "second")
    checks.contains("versions are listed", run("versions", "tool"), "second")
    checks.contains("a split", run("traffic", "tool", "1=95", "2=5"), "version 2: 5%")
    checks.contains("is shown", run("traffic", "tool"), "version 1: 95%")
    checks.contains("with what it means", run("rollback", "tool"), "--latest")
    run("traffic", "tool", "--latest")
    checks.contains("an alias", run("alias", "set", "tool", "prod", "1"), "tool@prod is version 1")
    checks.contains("in the list", run("alias", "list", "tool"), "prod")
    run("invoke", "tool@prod", "--data", "1", "--sticky-key", "me")
    run("alias", "delete", "tool", "prod")
    run("create", "both", "--weighted", "tool=3", "--weighted", "named=1")
    checks.contains("a split over functions", run("list"), "tool=3 named=1")
    wrong = suite.cli("function", "traffic", "tool", "half")
    checks.equal("a share that is none is wrong usage", wrong.returncode, 2)


def main(suite, checks):
    api = Api(suite.http)
    canary(suite, api, checks)
    pinned(suite, api, checks)
    switching(api, checks)
    aliases(suite, api, checks)
    weighted(suite, api, checks)
    cli(suite, checks)


if __name__ == "__main__":
    run_with_suite(main)
