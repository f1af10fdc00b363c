"""What docs/operations.md says about SIGHUP is what the programs say, key by key."""

import fnmatch
import re
import subprocess
import sys
import pathlib

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))

from penstock_test.checks import Checks
from penstock_test.process import bin_dir, source_dir

MARK = "(read again at SIGHUP)"
ROW = re.compile(r"^\| (all|`penstock-[a-z-]+`) \| (.*) \| (.*) \|$")


def documented():
    """By program: the patterns of keys that are taken over, and of those that are not."""
    text = (source_dir() / "docs" / "operations.md").read_text(encoding="utf-8")
    section = text.split("## Reload", 1)[1].split("\n## ", 1)[0]
    rows = {}
    for line in section.splitlines():
        row = ROW.match(line)
        if row:
            rows[row[1].strip("`")] = [re.findall(r"`([^`]+)`", row[i]) for i in (2, 3)]
    return rows


def keys_of(program):
    """Each key, and whether it is marked."""
    text = subprocess.run(
        [bin_dir() / program, "--help"], capture_output=True, text=True, check=True
    ).stdout
    keys = re.findall(r"^  ([a-z_.]+): .*\n      (.*)$", text.split("Keys.", 1)[1], re.MULTILINE)
    return {name: MARK in help_text for name, help_text in keys}


def longest(key, patterns):
    return max((len(p) for p in patterns if fnmatch.fnmatch(key, p)), default=0)


def main():
    checks = Checks()
    rows = documented()
    taken_by_all, fixed_by_all = rows.pop("all")
    checks.equal("four programs are described", len(rows), 4)
    for program, (taken, fixed) in rows.items():
        keys = keys_of(program)
        checks.that(f"{program} has keys", len(keys) > 5, keys)
        wrong = []
        for key, is_reloadable in keys.items():
            said = longest(key, taken + taken_by_all) - longest(key, fixed + fixed_by_all)
            if said == 0 or (said > 0) != is_reloadable:
                wrong.append(f"{key} is {'' if is_reloadable else 'not '}taken over")
        checks.equal(f"{program}: the table is right about every key", wrong, [])
        unused = [
            pattern
            for pattern in taken + fixed
            if not any(fnmatch.fnmatch(key, pattern) for key in keys)
        ]
        checks.equal(f"{program}: and names no other", unused, [])
    return checks.finish()


if __name__ == "__main__":
    sys.exit(main())
