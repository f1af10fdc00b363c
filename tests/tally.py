#!/usr/bin/env python3
"""Counts every check of a test run and prints, as the last line, `N passed, N failed[, N skipped]`.

Usage: tally.py RESULTS_DIR, which holds ctest.xml (ctest --output-junit) and lint.txt
(`pass|fail|skip <name>` a line), either of which may be missing. Exits 1 when a check failed and
when nothing ran.

A GoogleTest program counts as its test cases. A script whose output has a line like the one above
counts as that line says; any other script counts as one check.
"""

import pathlib
import re
import sys
import xml.etree.ElementTree as ElementTree
from dataclasses import dataclass, field

COUNTED_LINE = re.compile(r"^(\d+) passed, (\d+) failed(?:, (\d+) skipped)?$", re.MULTILINE)
GTEST_LINE = re.compile(r"^\[  (PASSED|FAILED|SKIPPED) +\] *(\d+) tests?[.,]", re.MULTILINE)


@dataclass
class Tally:
    passed: int = 0
    failed: int = 0
    skipped: int = 0
    failures: list = field(default_factory=list)

    def line(self):
        text = f"{self.passed} passed, {self.failed} failed"
        return f"{text}, {self.skipped} skipped" if self.skipped else text

    def add(self, name, passed, failed, skipped):
        self.passed += passed
        self.failed += failed
        self.skipped += skipped
        if failed:
            self.failures.append(name)


def count_output(output):
    """The (passed, failed, skipped) that a program's own output states, or None."""
    counted = COUNTED_LINE.findall(output)
    if counted:
        return tuple(int(number or 0) for number in counted[-1])
    by_word = {word: int(number) for word, number in GTEST_LINE.findall(output)}
    if "PASSED" not in by_word:
        return None
    return by_word["PASSED"], by_word.get("FAILED", 0), by_word.get("SKIPPED", 0)


def count_case(case):
    """The (passed, failed, skipped) of one ctest test."""
    status = case.get("status")
    skipped = case.find("skipped")
    if status == "disabled":
        return 0, 0, 1
    if skipped is not None:
        # ctest also reports as "skipped" a test whose program does not exist; that is a failure.
        wanted = skipped.get("message", "").startswith("SKIP_")
        return (0, 0, 1) if wanted else (0, 1, 0)
    stated = count_output(case.findtext("system-out") or "")
    passed, failed, skips = stated or ((1, 0, 0) if status == "run" else (0, 0, 0))
    if status != "run" and failed == 0:
        failed = 1  # It crashed, ran out of time, or failed outside its test cases.
    return passed, failed, skips


def tally_results(folder):
    tally = Tally()
    junit = folder / "ctest.xml"
    if junit.exists():
        for case in ElementTree.parse(junit).getroot().iter("testcase"):
            tally.add(case.get("name"), *count_case(case))
    lint = folder / "lint.txt"
    if lint.exists():
        for line in lint.read_text(encoding="utf-8").splitlines():
            verdict, name = line.split(maxsplit=1)
            tally.add(f"lint {name}", verdict == "pass", verdict == "fail", verdict == "skip")
    return tally


def main():
    tally = tally_results(pathlib.Path(sys.argv[1]))
    if tally.failures:
        print("\nFailed (output above): " + ", ".join(tally.failures))
    nothing_ran = tally.passed + tally.failed == 0
    if nothing_ran:
        print("\nNothing ran.")
    print(tally.line())
    return 1 if tally.failed or nothing_ran else 0


if __name__ == "__main__":
    sys.exit(main())
