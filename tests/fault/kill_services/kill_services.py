#!/usr/bin/python3
"""kill -9 of each service in turn under load: nothing that was acknowledged is lost."""

import argparse
import pathlib
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "support"))

from penstock_test.api import Api
from penstock_test.checks import Checks, wait_until
from penstock_test.load import Load
from penstock_test.receiver import Receiver
from penstock_test.suite import SERVICES, Suite

RETRY = {"maxAttempts": 1000, "initialDelay": "0.1s", "maxDelay": "1s"}
FLOW_SECONDS = 30
DELIVERY_SECONDS = 60


def prepare(suite, receiver, checks):
    api = Api(suite.http)
    checks.status("a function", api.create_http("count", receiver.url), 200)
    made = api.subscribe("count", "load.*", "count", retry=RETRY, maxInFlight=256)
    checks.status("a subscription", made, 200)


def flows(load, events):
    """Waits until so many more events were acknowledged."""
    goal = len(load.acknowledged) + events
    wait_until(
        lambda: len(load.acknowledged) >= goal, FLOW_SECONDS, f"{events} more events acknowledged"
    )


def kill_in_turn(suite, receiver, load, rounds, rate):
    """Gives the longest time without service, in seconds."""
    longest = 0.0
    for turn in range(rounds):
        flows(load, rate)
        name = SERVICES[turn % len(SERVICES)]
        killed = time.monotonic()
        suite.kill(name)
        if turn % 2:
            time.sleep(0.3)  # Half of the rounds leave the others time to notice.
        suite.start(name)
        flows(load, rate // 4)
        outage = time.monotonic() - killed
        longest = max(longest, outage)
        counts = receiver.counts()
        print(
            f"round {turn + 1}: killed {name}, flowing again after {outage:.2f} s, "
            f"acknowledged {len(load.acknowledged)}, delivered {counts['ids']}",
            flush=True,
        )
    return longest


def wait_for_delivery(receiver, acknowledged):
    """Waits while events still arrive; gives how often each arrived."""
    seen, since = -1, time.monotonic()
    while time.monotonic() - since < DELIVERY_SECONDS:
        count = receiver.counts()["ids"]
        if count != seen:
            seen, since = count, time.monotonic()
        if count >= len(acknowledged) and acknowledged <= receiver.ids().keys():
            break
        time.sleep(0.2)
    return receiver.ids()


def stored_ids(suite):
    """The id of every stored event, in log order."""
    ids, token = [], ""
    while token is not None:
        page = suite.http.get(f"/events?pageSize=1000&pageToken={token}").json()
        ids += [stored["event"]["id"] for stored in page.get("events", [])]
        token = page.get("nextPageToken")
    return ids


def run(suite, receiver, arguments, checks):
    prepare(suite, receiver, checks)
    load = Load(suite.ports["http"], arguments.rate, "load.item", "k").start()
    began = time.monotonic()
    flows(load, arguments.rate)
    warm = time.monotonic() - began
    longest = kill_in_turn(suite, receiver, load, arguments.rounds, arguments.rate)
    load.stop()
    took = time.monotonic() - began
    acknowledged = set(load.acknowledged)
    delivered = wait_for_delivery(receiver, acknowledged)
    lost = acknowledged - delivered.keys()
    duplicates = sum(times - 1 for times in delivered.values())
    dead = Api(suite.http).dead_letters()
    print(
        f"rate={arguments.rate} seconds={took:.0f} average={len(acknowledged) / took:.0f}/s "
        f"first_second={warm:.2f}s longest_outage={longest:.2f}s failures={load.failures}"
    )
    print(
        f"rounds={arguments.rounds} acknowledged={len(acknowledged)} delivered={len(delivered)} "
        f"lost={len(lost)} duplicates={duplicates}",
        flush=True,
    )
    checks.that("no acknowledged event is lost", not lost, sorted(lost)[:10])
    checks.that("no event was refused for good", not load.refused, load.refused[:3])
    checks.that("none became a dead letter", not dead, dead[:2])
    stored = stored_ids(suite)
    checks.that("each is stored", acknowledged <= set(stored), len(stored))
    checks.that("and stored once", len(stored) == len(set(stored)), len(stored) - len(set(stored)))
    average = len(acknowledged) / took
    checks.that("the load was heavy", average >= arguments.rate * 0.85, f"{average:.0f} a second")


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--rate", type=int, default=2400)
    arguments = parser.parse_args()
    checks = Checks()
    receiver = Receiver()
    suite = Suite("services")
    try:
        with checks.section("kill -9 in turn"):
            suite.start()
            run(suite, receiver, arguments, checks)
    finally:
        suite.close(print_logs=checks.failed > 0)
        receiver.close()
    return checks.finish()


if __name__ == "__main__":
    sys.exit(main())
