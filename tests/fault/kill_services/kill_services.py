#!/usr/bin/python3
"""kill -9 of each service in turn under load: nothing that was acknowledged is lost."""

import argparse
import pathlib
import statistics
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "support"))

from penstock_test.api import Api
from penstock_test.checks import Checks, wait_until
from penstock_test.load import Load
from penstock_test.receiver import Receiver
from penstock_test.suite import SHAPES, Suite

RETRY = {"maxAttempts": 1000, "initialDelay": "0.1s", "maxDelay": "1s"}
FLOW_SECONDS = 30
DELIVERY_SECONDS = 60


def prepare(suite, receiver, checks):
    api = Api(suite.http)
    checks.status("a function", api.create_http("count", receiver.url), 200)
    made = api.subscribe("count", "load.*", "count", retry=RETRY, maxInFlight=256)
    checks.status("a subscription", made, 200)


def flows(load, events):
    """Waits until so many more events were acknowledged; gives how many came in a second."""
    start, began = len(load.acknowledged), time.monotonic()
    goal = start + events
    what = f"{events} more events acknowledged"
    wait_until(lambda: len(load.acknowledged) >= goal, FLOW_SECONDS, what)
    return (len(load.acknowledged) - start) / (time.monotonic() - began)


def kill_in_turn(suite, receiver, load, rounds, rate):
    """Gives the longest time without service in seconds, and the usual rate between the outages."""
    longest, rates = 0.0, []
    names = list(suite.processes)
    for turn in range(rounds):
        rates.append(flows(load, rate))
        name = names[turn % len(names)]
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
    return longest, statistics.median(rates)


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
    longest, calm = kill_in_turn(suite, receiver, load, arguments.rounds, arguments.rate)
    load.stop()
    took = time.monotonic() - began
    acknowledged = set(load.acknowledged)
    delivered = wait_for_delivery(receiver, acknowledged)
    lost = acknowledged - delivered.keys()
    duplicates = sum(times - 1 for times in delivered.values())
    dead = Api(suite.http).dead_letters()
    print(
        f"rate={arguments.rate} seconds={took:.0f} average={len(acknowledged) / took:.0f}/s "
        f"between_outages={calm:.0f}/s longest_outage={longest:.2f}s failures={load.failures}"
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
    checks.that("the load was heavy", calm >= arguments.rate * 0.8, f"{calm:.0f} a second")


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--shape", choices=SHAPES, default="services")
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--rate", type=int, default=2400)
    arguments = parser.parse_args()
    checks = Checks()
    receiver = Receiver()
    suite = Suite(arguments.shape)
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
