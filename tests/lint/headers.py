#!/usr/bin/env python3
"""Checks the form of headers and includes: `#pragma once`, root-relative paths that exist, no `using namespace`."""

import re
import sys

import sources

QUOTED = re.compile(r'^\s*#\s*include\s*"([^"]+)"', re.MULTILINE)
OWN_ROOTS = ("libs/", "services/", "tools/", "tests/", "sdk/")


def check_file(path, text, exists):
    """The problems of one file. `exists` says whether a root-relative path is one of our files."""
    problems = []
    if path.suffix == ".h":
        if not re.search(r"^#pragma once$", text, re.MULTILINE):
            problems.append(f"{path}: a header starts with #pragma once")
        if re.search(r"^\s*using namespace ", text, re.MULTILINE):
            problems.append(f"{path}: a header has no `using namespace`")
    for match in QUOTED.finditer(text):
        include = match.group(1)
        line = text.count("\n", 0, match.start()) + 1
        generated = include.endswith(".pb.h") or include.endswith(".transcoding.h")
        if include.startswith(OWN_ROOTS):
            if not exists(include) and not generated:
                problems.append(f"{path}:{line}: includes {include}, which does not exist")
        elif include.startswith(".") or ("/" not in include and not generated):
            problems.append(f"{path}:{line}: includes {include}; ours are included by their path from the root")
    return problems


def check_tree(root=sources.ROOT):
    problems = []
    for path in sources.our_code(root):
        problems += check_file(path, sources.read(path, root), lambda name: (root / name).is_file())
    return problems


if __name__ == "__main__":
    sys.exit(sources.report(check_tree()))
