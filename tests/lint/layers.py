#!/usr/bin/env python3
"""Checks that each include crosses only an edge that the layout allows.

A file belongs to a place (`libs/http`, `services/event-broker/domain`, `tools/penstock`, …), an
include is one of ours (a place again), generated from a proto, or a package's. The tables below say
which place may include what; whatever they do not name is refused.
"""

import re
import sys
from pathlib import PurePosixPath

import sources

INCLUDE = re.compile(r'^\s*#\s*include\s*(?:"([^"]+)"|<([^>]+)>)', re.MULTILINE)

# Rooms of a service that are not adapters, and the rooms of the same service each may include
# besides itself. `adapter` stands for every other room; EDGES_BETWEEN_ADAPTERS names the exceptions
# to "an adapter knows no other adapter".
ROOM_EDGES = {
    "main": {"app"},
    "app": {"api", "ports", "domain", "adapter"},
    "api": {"ports", "domain"},
    "ports": {"domain"},
    "domain": {"ports"},
    "adapter": {"ports", "domain"},
}
EDGES_BETWEEN_ADAPTERS = {
    # Conversions between messages and the domain, which the gRPC faces, stores and delivery share.
    ("api", "codec"),
    ("delivery", "codec"),
    ("state", "codec"),
    # Worker processes: how they are started and watched.
    ("middleware", "drivers"),
}

# The libraries that the pure rooms may use: they compute, and reach nothing. All other rooms may use any.
PURE_ROOM_LIBS = {"domain": {"base", "jsonschema"}, "ports": {"base"}}

# Packages that only some places may include, by the beginning of the include.
GRPC = ("grpcpp/", "grpc++/", "grpc/")
TRANSPORTS = (*GRPC, "boost/beast", "boost/asio", "SQLiteCpp/", "sqlite3.h", "prometheus/", "nats/",
              "google/protobuf/", "librdkafka/", "hiredis/", "pqxx/")
GRPC_ROOMS = {"main", "app", "api", "adapter"}


def place_of(path):
    """(kind, name, room) of a path: ("services", "gateway", "domain"), ("libs", "http", ""), …"""
    parts = PurePosixPath(path).parts
    if parts[0] == "services" and len(parts) >= 3:
        room = parts[2] if len(parts) > 3 else "main"
        return "services", parts[1], room
    if parts[0] in ("libs", "tools", "tests", "sdk") and len(parts) >= 2:
        return parts[0], parts[1], ""
    return parts[0], "", ""


def room_kind(room):
    return room if room in ROOM_EDGES else "adapter"


def is_generated(include):
    return include.endswith((".pb.h", ".transcoding.h"))


def check_service_edge(source, target):
    """Why a service's file may not include `target`, one of our own files, or None."""
    _, service, room = source
    kind, name, target_room = target
    rooms = room_kind(room)
    if kind == "libs":
        allowed = PURE_ROOM_LIBS.get(rooms)
        if allowed is not None and name not in allowed:
            return f"{room}/ uses no library but {', '.join(sorted(allowed))}"
        return None
    if kind != "services":
        return f"a service does not include {kind}/"
    if name != service:
        return "a service never includes another"
    if target_room == room or (room, target_room) in EDGES_BETWEEN_ADAPTERS:
        return None
    if room_kind(target_room) not in ROOM_EDGES[rooms]:
        return f"{room}/ does not include {target_room}/"
    return None


def check_own(source, target):
    kind, name, _ = source
    if kind == "services":
        return check_service_edge(source, target)
    if kind == "libs" and target[0] != "libs":
        return f"a library knows nothing of {target[0]}/"
    if kind == "tools" and name != "penstock" and target[0] == "services":
        return "only tools/penstock composes services"
    return None


def check_generated(source, include):
    kind, _, room = source
    if kind == "libs" and include.startswith("penstock/"):
        return "a library knows no penstock.* message"
    if kind == "services" and room_kind(room) in PURE_ROOM_LIBS:
        return f"{room}/ includes no generated header"
    return None


def check_package(source, path, include):
    kind, name, room = source
    if include.startswith("boost/beast"):
        if kind == "services" or kind == "tools" or (kind == "libs" and
                                                     (name != "http" or path.suffix != ".cc")):
            return "Beast is included only in libs/http/*.cc"
    if kind == "services" and room_kind(room) in PURE_ROOM_LIBS and include.startswith(TRANSPORTS):
        return f"{room}/ knows no transport, store or metrics package"
    is_grpc = include.startswith(GRPC) or include.endswith(".grpc.pb.h")
    if is_grpc and kind == "libs" and name != "rpc":
        return "of the libraries, only libs/rpc includes gRPC"
    if is_grpc and kind == "services" and room_kind(room) not in GRPC_ROOMS:
        return f"{room}/ includes no gRPC"
    return None


def check_include(path, include, own_files):
    """Why `path` may not include `include`, or None."""
    source = place_of(path)
    if source[0] not in ("libs", "services", "tools"):
        return None
    problem = check_package(source, path, include)
    if problem:
        return problem
    if is_generated(include) and include not in own_files:
        return check_generated(source, include)
    if PurePosixPath(include).parts[0] in ("libs", "services", "tools", "tests", "sdk"):
        return check_own(source, place_of(include))
    return None


def find_cycle(edges):
    """A list of nodes that lead back to the first, or None. `edges`: node to set of nodes."""
    done = set()

    def visit(node, trail):
        if node in trail:
            return trail[trail.index(node):] + [node]
        if node in done:
            return None
        for following in sorted(edges.get(node, ())):
            cycle = visit(following, trail + [node])
            if cycle:
                return cycle
        done.add(node)
        return None

    for start in sorted(edges):
        cycle = visit(start, [])
        if cycle:
            return cycle
    return None


def check_tree(root=sources.ROOT):
    files = sources.our_code(root)
    own_files = {str(path) for path in files}
    problems, lib_edges = [], {}
    for path in files:
        text = sources.read(path, root)
        for match in INCLUDE.finditer(text):
            include = match.group(1) or match.group(2)
            problem = check_include(path, include, own_files)
            if problem:
                line = text.count("\n", 0, match.start()) + 1
                problems.append(f"{path}:{line}: includes {include}: {problem}")
            here, there = place_of(path), place_of(include)
            if here[0] == there[0] == "libs" and here != there:
                lib_edges.setdefault(here[1], set()).add(there[1])
    cycle = find_cycle(lib_edges)
    if cycle:
        problems.append("libs include each other in a circle: " + " -> ".join(cycle))
    return problems


if __name__ == "__main__":
    sys.exit(sources.report(check_tree()))
