"""Runs the marked shell blocks of the documents against `penstock up`, and compares what they print."""

import os
import pathlib
import re
import signal
import subprocess
import sys
import tempfile

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "support"))

from penstock_test.checks import Checks, wait_until
from penstock_test.process import bin_dir, free_ports, source_dir
from penstock_test.suite import Suite

MARK = re.compile(r"^\s*<!--\s*test(?::\s*(?P<option>[^>]*?))?\s*-->\s*$")
FENCE = re.compile(r"^(?P<indent>\s*)```(?P<language>\w*)\s*$")
EVENTUALLY_SECONDS = 20


class Block:
    """One marked block: its text, its option, and the output it must have."""

    def __init__(self, line, language, option, text):
        self.line = line
        self.language = language
        self.option = option or ""
        self.text = text
        self.expected = None


def fenced(lines, start):
    """The block that begins at or after `start` with nothing but blank lines before: (language, text, end)."""
    at = start
    while at < len(lines) and not lines[at].strip():
        at += 1
    opening = FENCE.match(lines[at]) if at < len(lines) else None
    if not opening:
        return None
    indent, text = opening["indent"], []
    for end in range(at + 1, len(lines)):
        if lines[end].strip() == "```":
            return opening["language"], "\n".join(text) + "\n", end + 1
        text.append(lines[end].removeprefix(indent))
    raise ValueError(f"the block at line {at + 1} has no end")


def blocks_of(text):
    """The marked blocks of a document, in order."""
    lines, blocks, at = text.splitlines(), [], 0
    while at < len(lines):
        mark = MARK.match(lines[at])
        if not mark:
            at += 1
            continue
        found = fenced(lines, at + 1)
        if found is None:
            raise ValueError(f"line {at + 1}: the mark is not followed by a block")
        language, body, end = found
        block = Block(at + 1, language, mark["option"], body)
        after = fenced(lines, end)
        if after and after[0] in ("text", "json") and not block.option.startswith("file"):
            block.expected, end = after[1], after[2]
        blocks.append(block)
        at = end
    return blocks


def matches(expected, output):
    """None when every expected line occurs in order, else the first line that does not."""
    flat = re.sub(r"\s+", "", output)
    position = 0
    for line in expected.splitlines():
        parts = [re.escape(re.sub(r"\s+", "", part)) for part in re.split("…|\\.\\.\\.", line)]
        found = re.compile(".*?".join(parts)).search(flat, position)
        if not found:
            return line
        position = found.end()
    return None


class DocumentRunner:
    def __init__(self, suite, folder, checks):
        self._suite = suite
        self._folder = folder
        self._checks = checks
        (self._service_port,) = free_ports(1)
        (folder / "penstock").symlink_to(source_dir())

    def run(self, name, block):
        title = f"{name}:{block.line}"
        option = block.option
        if option.startswith("file "):
            target = self._folder / option.removeprefix("file ").strip()
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_text(self._with_ports(block.text), encoding="utf-8")
            self._checks.that(f"{title} writes {target.name}", True)
            return
        code = int(option.removeprefix("exit ")) if option.startswith("exit ") else 0
        problem = self._problem(block, code)
        if problem and option == "eventually":
            try:
                wait_until(lambda: not self._problem(block, code), EVENTUALLY_SECONDS, title)
                problem = None
            except AssertionError:
                problem = self._problem(block, code)
        first = block.text.strip().splitlines()[0][:70]
        self._checks.that(f"{title} {first}", not problem, problem or "")

    def _problem(self, block, code):
        """What is wrong with a run of the block, or empty."""
        done = subprocess.run(
            ["bash", "-e", "-o", "pipefail", "-c", self._with_ports(block.text)],
            cwd=self._folder,
            env=self._environment(),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=120,
            check=False,
        )
        if done.returncode != code:
            return f"exit code {done.returncode}, expected {code}; output:\n{done.stdout}"
        missing = matches(block.expected, done.stdout) if block.expected else None
        return f"expected `{missing}` in:\n{done.stdout}" if missing else ""

    def _with_ports(self, text):
        names = {"8080": "http", "8081": "config", "8082": "grpc", "8083": "admin"}
        ports = {text: self._suite.ports[name] for text, name in names.items()}
        ports["7000"] = self._service_port
        return re.sub(
            r"(localhost|127\.0\.0\.1):(808[0-3]|7000)\b",
            lambda found: f"127.0.0.1:{ports[found[2]]}",
            text,
        )

    def _environment(self):
        return {
            **os.environ,
            "PATH": f"{bin_dir()}:{os.environ.get('PATH', '/usr/bin:/bin')}",
            "HOME": str(self._folder),
            "PENSTOCK_SERVER": f"127.0.0.1:{self._suite.ports['grpc']}",
        }


def end_services(folder):
    """Ends what a document started in the background and, because something went wrong, did not end."""
    for file in folder.glob("*.pid"):
        try:
            pid = int(file.read_text())
            if pathlib.Path(f"/proc/{pid}/cwd").resolve() == folder.resolve():
                os.kill(pid, signal.SIGTERM)
        except (OSError, ValueError):
            pass


def documents():
    root = source_dir()
    return [
        root / "README.md",
        *sorted((root / "docs").rglob("*.md")),
        *sorted((root / "sdk").rglob("README.md")),
    ]


def self_test(checks):
    """The runner itself: it finds what is marked, and sees what is wrong."""
    text = "a\n<!-- test -->\n```sh\ntrue\n```\n\n```text\none … two\n```\n```sh\nnot marked\n```\n"
    blocks = blocks_of(text)
    checks.equal("the runner finds marked blocks", [block.text for block in blocks], ["true\n"])
    checks.equal("and their output", blocks[0].expected, "one … two\n")
    checks.that("a pattern matches", matches("one … two", "zero one 1 two\n") is None)
    checks.equal("a missing line is seen", matches("one\nthree", "one two"), "three")
    checks.equal("and a wrong order", matches("two\none", "one two"), "one")


def main():
    checks = Checks()
    with checks.section("the runner"):
        self_test(checks)
    for path in documents():
        blocks = blocks_of(path.read_text(encoding="utf-8")) if path.exists() else []
        if not blocks:
            continue
        name = str(path.relative_to(source_dir()))
        suite = Suite("up")
        before = checks.failed
        try:
            with checks.section(name), tempfile.TemporaryDirectory(
                prefix="penstock-doc-"
            ) as folder:
                suite.start()
                runner = DocumentRunner(suite, pathlib.Path(folder), checks)
                try:
                    for block in blocks:
                        runner.run(name, block)
                finally:
                    end_services(pathlib.Path(folder))
        finally:
            suite.close(print_logs=checks.failed > before)
    return checks.finish()


if __name__ == "__main__":
    sys.exit(main())
