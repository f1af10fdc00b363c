#!/usr/bin/env python3
"""Which files are ours. As a program: prints those whose name ends in one of the arguments."""

import pathlib
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]


def our_files(root=ROOT):
    """Paths relative to `root` of all files that git tracks or would track; without git, all but build trees."""
    git = ["git", "-C", str(root), "-c", f"safe.directory={root}"]
    listed = subprocess.run(
        [*git, "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        capture_output=True, check=False)
    if listed.returncode == 0:
        names = listed.stdout.decode().split("\0")
        paths = [pathlib.PurePosixPath(name) for name in names if name]
    else:
        everything = (path.relative_to(root) for path in root.rglob("*") if path.is_file())
        paths = [pathlib.PurePosixPath(path) for path in everything
                 if path.parts[0] not in ("build", ".git", "penstock-data")]
    return sorted({path for path in paths if (root / path).is_file()})


def our_code(root=ROOT):
    return [path for path in our_files(root) if path.suffix in (".h", ".cc")]


def read(path, root=ROOT):
    return (root / path).read_text(encoding="utf-8", errors="replace")


def report(problems, warnings=()):
    """Prints what was found; the exit code of a check."""
    for warning in warnings:
        print(f"warning: {warning}")
    for problem in problems:
        print(f"error: {problem}")
    return 1 if problems else 0


if __name__ == "__main__":
    for our_file in our_files():
        if our_file.name.endswith(tuple(sys.argv[1:])):
            print(our_file)
