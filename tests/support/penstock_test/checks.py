"""Counted checks: each is a line of output, and the last line states how many passed and failed."""

import contextlib
import sys
import time
import traceback

SKIPPED = 77


class Skip(Exception):
    """Raised where this machine lacks what a test needs."""


def wait_until(condition, seconds, what):
    """Polls `condition` until it gives something true, and returns that; AssertionError after `seconds`."""
    deadline = time.monotonic() + seconds
    pause = 0.005
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > deadline:
            raise AssertionError(f"{what}: not within {seconds} s")
        time.sleep(pause)
        pause = min(pause * 1.5, 0.1)


class Checks:
    """Counts what holds and what does not. A failed check is printed and the test goes on."""

    def __init__(self):
        self.passed = 0
        self.failed = 0
        self.skipped = 0

    def that(self, name, holds, detail=""):
        """One check. `detail` is printed when it does not hold."""
        if holds:
            self.passed += 1
            print(f"ok    {name}", flush=True)
        else:
            self.failed += 1
            print(f"FAIL  {name}{': ' if detail != '' else ''}{_cut(detail)}", flush=True)
        return bool(holds)

    def equal(self, name, actual, expected):
        return self.that(name, actual == expected, f"expected {expected!r}, got {actual!r}")

    def contains(self, name, whole, part):
        return self.that(name, part in whole, f"expected {part!r} in {whole!r}")

    def status(self, name, response, expected):
        """The HTTP status of a response; its body is the detail."""
        return self.that(
            name,
            response.status == expected,
            f"expected {expected}, got {response.status} {response.text()}",
        )

    def eventually(self, name, condition, seconds=15):
        """A condition that must come true; gives its value, or None."""
        try:
            value = wait_until(condition, seconds, name)
        except AssertionError as error:
            self.that(name, False, error)
            return None
        self.that(name, True)
        return value

    @contextlib.contextmanager
    def section(self, title):
        """A group of checks. An exception in it is one failed check, and the next section still runs."""
        print(f"--- {title}", flush=True)
        try:
            yield
        except Skip as reason:
            self.skipped += 1
            print(f"skip  {title}: {reason}", flush=True)
        except Exception as error:  # pylint: disable=broad-except
            self.failed += 1
            print(f"FAIL  {title}: {type(error).__name__}: {_cut(error)}", flush=True)
            traceback.print_exc(file=sys.stdout)

    def finish(self):
        """Prints the count; the exit code of the test."""
        line = f"{self.passed} passed, {self.failed} failed"
        print(line + (f", {self.skipped} skipped" if self.skipped else ""), flush=True)
        return 1 if self.failed or not self.passed else 0


def _cut(text):
    text = str(text)
    return text if len(text) <= 1500 else text[:1500] + f"… ({len(text)} characters)"
