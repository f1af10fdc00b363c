#!/usr/bin/python3
"""Ordered delivery to a function that fails and hangs, while broker and executor are killed at random."""

import argparse
import pathlib
import random
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "support"))

from penstock_test.api import Api
from penstock_test.checks import Checks
from penstock_test.load import Load
from penstock_test.receiver import Receiver
from penstock_test.suite import Suite

ATTEMPTS = 3
RETRY = {"maxAttempts": ATTEMPTS, "initialDelay": "0.05s", "maxDelay": "0.2s"}
TIMEOUT = "0.5s"
KEYS = 1000
FAIL, HANG = 0.1, 0.01
SETTLE_SECONDS = 120
# Reasons of dead letters that are there because every attempt was used up.
USED_UP = {"ATTEMPTS_EXHAUSTED", "EXECUTOR_LOST"}


def prepare(suite, receiver, checks, seed):
    receiver.plan("/", fail=FAIL, hang=HANG, seed=seed)
    api = Api(suite.http)
    checks.status("a function", api.create_http("flaky", receiver.url), 200)
    made = api.subscribe(
        "flaky", "load.*", "flaky", retry=RETRY, timeout=TIMEOUT, maxInFlight=1024, ordering={}
    )
    checks.status("an ordered subscription", made, 200)


def kill_at_random(suite, load, seconds, draw):
    """Kills broker or executor every few seconds; gives how often each was killed."""
    killed = {"event-broker": 0, "function-executor": 0}
    end = time.monotonic() + seconds
    while (left := end - time.monotonic()) > 0:
        time.sleep(min(left, draw.uniform(2, 6)))
        name = draw.choice(sorted(killed))
        suite.kill(name)
        time.sleep(draw.uniform(0, 0.5))
        suite.start(name)
        killed[name] += 1
        print(f"killed {name}; acknowledged {len(load.acknowledged)}", flush=True)
    return killed


def wait_until_settled(suite, receiver):
    """Until nothing is pending: everything up to the log's head is done, and nothing is tried again."""

    def settled():
        answer = suite.http.get("/api/v1/spaces/default/subscriptions/flaky:status")
        if answer.status != 200:
            return False
        status = answer.json()
        pending = [status.get(what, 0) for what in ("inFlight", "retrying", "held", "waiting")]
        done = int(status.get("floorSequence", 0)) >= int(status["headSequence"])
        return done and not any(int(count) for count in pending)

    last, since = -1, time.monotonic()
    while not settled():
        calls = receiver.counts()["calls"]
        if calls != last:
            last, since = calls, time.monotonic()
        if time.monotonic() - since > SETTLE_SECONDS:
            raise AssertionError(f"no delivery for {SETTLE_SECONDS} s, but some are pending")
        time.sleep(0.2)


def all_dead_letters(api):
    letters, token = [], ""
    while token is not None:
        page = api.get("deadLetters", pageSize=1000, pageToken=token).json()
        letters += page.get("deadLetters", [])
        token = page.get("nextPageToken")
    return letters


def delivery_of(letter):
    return letter["name"].rsplit("/", 1)[1]


def final_dead_letters(suite, receiver):
    """All of them: one is stored a moment after its last attempt, when nothing is pending any more."""
    end = time.monotonic() + SETTLE_SECONDS
    while True:
        letters = all_dead_letters(Api(suite.http))
        missing = receiver.unsuccessful().keys() - {delivery_of(letter) for letter in letters}
        if not missing or time.monotonic() > end:
            return letters
        time.sleep(0.2)


def judge(receiver, letters, acknowledged, checks):
    counts = receiver.counts()
    dead_events = {letter["event"]["id"] for letter in letters}
    dead_deliveries = {delivery_of(letter) for letter in letters}
    lost = receiver.missing(sorted(acknowledged)) - dead_events
    unsuccessful = receiver.unsuccessful()
    passed = set(receiver.passed()) - dead_deliveries
    print(
        f"acknowledged={len(acknowledged)} delivered={counts['succeeded']} dead_letters={len(letters)} "
        f"losses={len(lost)} duplicates={counts['duplicates']} inversions={counts['inversions']} "
        f"overlaps={counts['overlaps']} abandoned={counts['abandoned']} step_backs={counts['step_backs']} "
        f"calls={counts['calls']} failed={counts['failed']} hung={counts['hung']} gone={counts['gone']}",
        flush=True,
    )
    checks.that("no acknowledged event is lost", not lost, sorted(lost)[:10])
    checks.equal("no inversion", counts["inversions"], 0)
    if counts["overlaps"] or counts["inversions"]:
        print("\n".join(receiver.violations()), flush=True)
    checks.equal("one at a time for each key", counts["overlaps"], 0)
    checks.that("nothing was passed by but dead letters", not passed, sorted(passed)[:10])
    wrong = [letter for letter in letters if letter["reason"] not in USED_UP]
    checks.that("dead letters used up their policy", not wrong, wrong[:2])
    early = [letter for letter in letters if letter["attempts"] != ATTEMPTS]
    checks.that("with every attempt", not early, early[:2])
    revived = dead_deliveries - unsuccessful.keys()
    unburied = unsuccessful.keys() - dead_deliveries
    # A success is not known when broker or executor are killed before it is told: the event is tried
    # again, and may use up its policy then. Each such call after a success is a duplicate.
    told = len(revived) * ATTEMPTS <= counts["duplicates"]
    checks.that("no dead letter had succeeded unless that was lost in a kill", told, revived)
    checks.that("and nothing else failed for good", not unburied, sorted(unburied)[:5])
    return counts


def run(suite, receiver, arguments, checks):
    draw = random.Random(arguments.seed)
    prepare(suite, receiver, checks, arguments.seed)
    load = Load(
        suite.ports["http"], arguments.rate, "load.item", "c", connections=16, batch=50, keys=KEYS
    ).start()
    began = time.monotonic()
    killed = kill_at_random(suite, load, arguments.seconds, draw)
    load.stop()
    took = time.monotonic() - began
    acknowledged = set(load.acknowledged)
    print(f"rate={len(acknowledged) / took:.0f}/s seconds={took:.0f} killed={killed}", flush=True)
    wait_until_settled(suite, receiver)
    letters = final_dead_letters(suite, receiver)
    judge(receiver, letters, acknowledged, checks)
    checks.that("both were killed", all(killed.values()), killed)
    checks.that("some used up their policy", letters)
    checks.that("no event was refused for good", not load.refused, load.refused[:3])


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--rate", type=int, default=5000)
    parser.add_argument("--seed", type=int, default=int(time.time()))
    arguments = parser.parse_args()
    print(f"seed={arguments.seed}", flush=True)
    checks = Checks()
    receiver = Receiver()
    suite = Suite("services")
    try:
        with checks.section("chaos"):
            suite.start()
            run(suite, receiver, arguments, checks)
    finally:
        suite.close(print_logs=checks.failed > 0)
        receiver.close()
    return checks.finish()


if __name__ == "__main__":
    sys.exit(main())
