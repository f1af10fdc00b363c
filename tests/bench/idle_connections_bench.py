#!/usr/bin/python3
"""What an idle keep-alive connection costs the gateway in memory, after it served a published event.

The resident set of the gateway before and after; the sockets' memory in the kernel is not in it. Writes JSON to
$PENSTOCK_RESULT, or prints it alone. The target is printed beside the result and never asserted.
"""

import argparse
import pathlib
import resource
import socket
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))

from penstock_test.checks import wait_until
from penstock_test.suite import Suite
from penstock_test.wrk import write_result

KIB_TARGET = 16.0
# One connection is one descriptor here and one in the gateway.
SPARE_DESCRIPTORS = 200


def event(number):
    body = b"x" * 256
    head = (
        "POST /events HTTP/1.1\r\nHost: localhost\r\nce-specversion: 1.0\r\n"
        f"ce-id: idle-{number}\r\nce-source: /bench\r\nce-type: bench.idle\r\n"
        f"Content-Type: text/plain\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body


def serve_once(port, number):
    """A connection that has had its answer."""
    connection = socket.create_connection(("127.0.0.1", port))
    connection.sendall(event(number))
    answer = b""
    while b"\r\n\r\n" not in answer:
        piece = connection.recv(4096)
        if not piece:
            raise ConnectionError(f"connection {number} was closed: {answer[:200]!r}")
        answer += piece
    if b" 202 " not in answer.split(b"\r\n", 1)[0]:
        raise ConnectionError(f"connection {number} was answered {answer[:200]!r}")
    return connection


def resident_kib(pid):
    status = pathlib.Path(f"/proc/{pid}/status").read_text(encoding="utf-8")
    line = next(line for line in status.splitlines() if line.startswith("VmRSS:"))
    return int(line.split()[1])


def idle_bench(connections):
    suite = Suite("services", log_level="warn", options={"gateway": ["--http.idle_timeout=10m"]}).start()
    held = []
    try:
        pid = suite.processes["gateway"].pid
        port = suite.ports["http"]
        # What the first connections allocate once for all.
        for number in range(200):
            serve_once(port, number).close()
        before = resident_kib(pid)
        held = [serve_once(port, 1000 + number) for number in range(connections)]
        after = resident_kib(pid)
        # Still open: another event on the first and the last.
        for connection in (held[0], held[-1]):
            connection.sendall(event(f"again-{connection.fileno()}"))
            wait_until(lambda c=connection: b" 202 " in c.recv(4096), 10, "an idle connection answers")
    finally:
        for connection in held:
            connection.close()
        suite.stop()
    return {
        "connections": connections,
        "before_kib": before,
        "after_kib": after,
        "kib_per_connection": round((after - before) / connections, 2),
        "kib_target": KIB_TARGET,
    }


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--connections", type=int, default=5000)
    options = parser.parse_args()
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = options.connections + SPARE_DESCRIPTORS
    if soft < wanted:
        if hard != resource.RLIM_INFINITY and hard < wanted:
            sys.exit(f"{wanted} open files are needed, and {hard} are allowed: take fewer --connections")
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
    result = idle_bench(options.connections)
    print(
        "idle     {connections} connections  {kib_per_connection} KiB each (target {kib_target})".format(**result)
    )
    write_result(result)


if __name__ == "__main__":
    main()
