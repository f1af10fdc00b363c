#!/usr/bin/python3
"""The function server takes a call for ended when its connection was closed, before it has read that."""

import os
import pathlib
import signal
import socket
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))

from penstock_test.checks import Checks, wait_until
from penstock_test.receiver import Receiver

SECONDS = 10


class Caller:
    """One connection that calls the function for one delivery of one key."""

    def __init__(self, receiver):
        self.socket = socket.create_connection(("127.0.0.1", receiver.port))

    def call(self, attempt):
        lines = [
            "POST / HTTP/1.1",
            "Host: function",
            "ce-id: event",
            "ce-partitionkey: key",
            "penstock-delivery-id: lane-1",
            f"penstock-attempt: {attempt}",
            "Content-Length: 0",
        ]
        self.socket.sendall(("\r\n".join(lines) + "\r\n\r\n").encode())

    def close(self):
        self.socket.close()


def stop(receiver):
    """Stops the server, so that all of what follows is there at once when it goes on."""
    os.kill(receiver.pid, signal.SIGSTOP)
    tasks = pathlib.Path(f"/proc/{receiver.pid}/task")

    def is_stopped():
        states = [(task / "stat").read_text().rsplit(")", 1)[1].split()[0] for task in tasks.iterdir()]
        return all(state == "T" for state in states)

    wait_until(is_stopped, SECONDS, "the server is stopped")


def call_twice(receiver, checks, closes):
    """A call that hangs, and another while the server does not run; gives the counts after both."""
    receiver.reset()
    first, second = Caller(receiver), Caller(receiver)
    first.call(1)
    wait_until(lambda: receiver.counts()["running"] == 1, SECONDS, "the first call")
    try:
        stop(receiver)
        if closes:
            first.close()
        second.call(2)
    finally:
        os.kill(receiver.pid, signal.SIGCONT)
    running = 1 if closes else 2
    wait_until(
        lambda: (counts := receiver.counts())["calls"] == 2 and counts["running"] == running,
        SECONDS,
        "the second call",
    )
    counts = receiver.counts()
    first.close()
    second.close()
    checks.eventually("both calls end", lambda: receiver.counts()["hung"] == 2, SECONDS)
    return counts


def main():
    checks = Checks()
    receiver = Receiver()
    try:
        receiver.plan("/", hang=1)
        with checks.section("a caller that closes before the next one sends"):
            counts = call_twice(receiver, checks, closes=True)
            checks.equal("no overlap", counts["overlaps"], 0)
            checks.equal("one call was abandoned", counts["abandoned"], 1)
        with checks.section("a caller that still waits"):
            counts = call_twice(receiver, checks, closes=False)
            checks.equal("an overlap", counts["overlaps"], 1)
            checks.equal("nothing was abandoned", counts["abandoned"], 0)
    finally:
        receiver.close()
    return checks.finish()


if __name__ == "__main__":
    sys.exit(main())
