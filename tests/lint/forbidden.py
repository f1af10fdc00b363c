#!/usr/bin/env python3
"""Checks that no file holds a mark of unfinished work, a path of one machine, or the host of a package registry."""

import re
import sys

import sources

# The patterns are written so that none matches its own source.
UNFINISHED = re.compile(r"\bTO[D]O\b|\bFIX[M]E\b|\bXX[X]\b|(?i:not implemented[ ]yet)")
MACHINE_PATH = re.compile(r"(?<![\w.~-])/(?:wor[k]|roo[t]|home/\w[\w-]*)/")
REGISTRY = re.compile(
    r"\b(?:registry\.npmj[s]\.org|registry\.yarnpk[g]\.com|pyp[i]\.org|files\.pythonhoste[d]\.org|proxy\.golan[g]\.org"
    r"|registry-1\.docke[r]\.io|index\.docke[r]\.io|deb\.debia[n]\.org|security\.debia[n]\.org|crate[s]\.io"
    r"|rubygem[s]\.org|maven\.or[g]|[\w.-]+\.pkg\.de[v]|\bgh[c]r\.io|\bgc[r]\.io|\bqua[y]\.io)\b")

# Unfinished work is looked for in what runs or configures; prose may speak of it.
CODE_SUFFIXES = (".h", ".cc", ".proto", ".py", ".js", ".ts", ".go", ".sh", ".cmake", ".yaml", ".yml", ".json")
CODE_NAMES = ("dev", "run", "Dockerfile", "CMakeLists.txt")


def check_text(path, text):
    problems = []
    is_code = path.suffix in CODE_SUFFIXES or path.name in CODE_NAMES
    for number, line in enumerate(text.splitlines(), start=1):
        if is_code and UNFINISHED.search(line):
            problems.append(f"{path}:{number}: a mark of unfinished work: {line.strip()[:80]}")
        if MACHINE_PATH.search(line):
            problems.append(f"{path}:{number}: an absolute path of one machine: {line.strip()[:80]}")
        if REGISTRY.search(line):
            problems.append(f"{path}:{number}: the host of a package registry: {line.strip()[:80]}")
    return problems


def check_tree(root=sources.ROOT):
    problems = []
    for path in sources.our_files(root):
        if path.name == "LICENSE":
            continue
        problems += check_text(path, sources.read(path, root))
    return problems


if __name__ == "__main__":
    sys.exit(sources.report(check_tree()))
