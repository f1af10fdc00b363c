#!/usr/bin/env python3
"""Checks that folders explain themselves in a README.md, and that relative links in Markdown lead somewhere."""

import re
import sys
from pathlib import PurePosixPath

import sources

# Folders that need a README.md as soon as they hold a file: these, and each folder right below those.
EXPLAINED = ("", "docs", "docs/decisions", "deploy", "proto", "tests", "tests/lint")
EXPLAINED_CHILDREN = ("libs", "services", "tools", "sdk", "tests/e2e", "tests/fault", "tests/sim", "tests/fuzz",
                      "tests/bench")

LINK = re.compile(r"(?<!!)\[[^\]\n]*\]\(\s*<?([^)\s>]+)>?(?:\s+\"[^\"]*\")?\s*\)|!\[[^\]\n]*\]\(([^)\s]+)\)")
CODE = re.compile(r"^(```|~~~).*?^\1|`[^`\n]*`", re.DOTALL | re.MULTILINE)
SCHEME = re.compile(r"^[a-zA-Z][a-zA-Z0-9+.-]*:")


def anchor_of(heading):
    """The anchor that code hosts give a heading."""
    kept = re.sub(r"[^\w\- ]", "", heading.strip().lower().replace("`", ""))
    return kept.replace(" ", "-")


def anchors_in(text):
    return {anchor_of(heading) for heading in re.findall(r"^#+\s+(.*?)\s*#*$", text, re.MULTILINE)}


def folders_without_readme(files):
    folders = {str(parent) for path in files for parent in path.parents}
    wanted = {folder for folder in folders if (folder if folder != "." else "") in EXPLAINED}
    wanted |= {folder for folder in folders if str(PurePosixPath(folder).parent) in EXPLAINED_CHILDREN}
    names = {str(path) for path in files}
    return sorted(folder for folder in wanted if str(PurePosixPath(folder) / "README.md") not in names)


def broken_links(path, text, root):
    problems = []
    plain = CODE.sub(lambda match: "\n" * match.group(0).count("\n"), text)
    for match in LINK.finditer(plain):
        link = match.group(1) or match.group(2)
        if SCHEME.match(link):
            continue
        line = plain.count("\n", 0, match.start()) + 1
        name, _, anchor = link.partition("#")
        target = (root / path.parent / name) if name else root / path
        if not target.exists():
            problems.append(f"{path}:{line}: links to {link}, which does not exist")
        elif anchor and target.suffix == ".md" and anchor not in anchors_in(target.read_text(encoding="utf-8")):
            problems.append(f"{path}:{line}: links to {link}, which has no such heading")
    return problems


def check_tree(root=sources.ROOT):
    files = sources.our_files(root)
    problems = [f"{folder}/: has no README.md" for folder in folders_without_readme(files)]
    for path in files:
        if path.suffix == ".md":
            problems += broken_links(path, sources.read(path, root), root)
    return problems


if __name__ == "__main__":
    sys.exit(sources.report(check_tree()))
