#!/usr/bin/env python3
"""Tests of the lint checks themselves: each must find what it is there to find, and nothing in good code."""

import pathlib
import sys
import tempfile
import unittest
from pathlib import PurePosixPath

import docs
import forbidden
import headers
import layers
import sizes

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
import tally  # noqa: E402  (it lives beside the tests, not beside the lints)


class LayersTest(unittest.TestCase):
    def refuse(self, path, include):
        self.assertIsNotNone(layers.check_include(PurePosixPath(path), include, set()), f"{path} -> {include}")

    def allow(self, path, include):
        self.assertIsNone(layers.check_include(PurePosixPath(path), include, set()), f"{path} -> {include}")

    def test_refuses_what_crosses_a_border(self):
        self.refuse("libs/http/server.h", "services/gateway/app/app.h")
        self.refuse("libs/rpc/server.cc", "penstock/events/v1/event_catalog.pb.h")
        self.refuse("services/gateway/api/face.cc", "services/event-broker/domain/event.h")
        self.refuse("tools/protoc-gen-penstock/main.cc", "services/gateway/app/app.h")
        self.refuse("services/gateway/app/app.cc", "tests/unit/fake.h")

    def test_refuses_transports_in_the_pure_rooms(self):
        for include in ("grpcpp/grpcpp.h", "SQLiteCpp/SQLiteCpp.h", "prometheus/counter.h", "boost/asio.hpp",
                        "penstock/events/v1/events.pb.h", "libs/http/server.h",
                        "services/event-broker/storage/sqlite_catalog.h"):
            self.refuse("services/event-broker/domain/delivery/engine.cc", include)
            self.refuse("services/event-broker/ports/event_log.h", include)

    def test_refuses_beast_and_grpc_outside_their_places(self):
        self.refuse("libs/http/server.h", "boost/beast/http.hpp")
        self.refuse("libs/rpc/server.cc", "boost/beast/http.hpp")
        self.refuse("services/gateway/api/face.cc", "boost/beast/core.hpp")
        self.refuse("libs/http/server.cc", "grpcpp/grpcpp.h")
        self.refuse("libs/http/server.cc", "io/cloudevents/v1/cloudevents.grpc.pb.h")

    def test_refuses_the_wrong_direction_between_rooms(self):
        self.refuse("services/gateway/api/face.cc", "services/gateway/app/app.h")
        self.refuse("services/gateway/api/face.cc", "services/gateway/storage/store.h")
        self.refuse("services/gateway/storage/store.cc", "services/gateway/api/face.h")
        self.refuse("services/gateway/main.cc", "services/gateway/domain/route.h")

    def test_allows_the_edges_of_the_layout(self):
        self.allow("services/gateway/main.cc", "services/gateway/app/app.h")
        self.allow("services/gateway/app/app.cc", "services/gateway/storage/store.h")
        self.allow("services/gateway/api/face.cc", "penstock/events/v1/event_broker.grpc.pb.h")
        self.allow("services/gateway/domain/a/route.cc", "services/gateway/domain/b/table.h")
        self.allow("services/gateway/domain/route.cc", "libs/base/status.h")
        self.allow("libs/http/server.cc", "boost/beast/http.hpp")
        self.allow("libs/rpc/server.cc", "grpcpp/grpcpp.h")
        self.allow("tools/penstock/up.cc", "services/gateway/app/app.h")
        self.allow("tests/integration/gateway_test.cc", "services/gateway/app/app.h")

    def test_finds_a_circle_of_libraries(self):
        self.assertEqual(layers.find_cycle({"a": {"b"}, "b": {"c"}, "c": {"b"}}), ["b", "c", "b"])
        self.assertIsNone(layers.find_cycle({"a": {"b", "c"}, "b": {"c"}}))


class HeadersTest(unittest.TestCase):
    def problems(self, name, text):
        return headers.check_file(PurePosixPath(name), text, lambda include: include == "libs/base/ids.h")

    def test_accepts_a_good_header(self):
        self.assertEqual(self.problems("libs/a/a.h", '#pragma once\n#include <string>\n#include "libs/base/ids.h"\n'), [])

    def test_finds_each_fault(self):
        self.assertEqual(len(self.problems("libs/a/a.h", "int a;\n")), 1)
        self.assertEqual(len(self.problems("libs/a/a.h", "#pragma once\nusing namespace std;\n")), 1)
        self.assertEqual(len(self.problems("libs/a/a.cc", '#include "a.h"\n#include "../b/b.h"\n')), 2)
        self.assertEqual(len(self.problems("libs/a/a.cc", '#include "libs/base/gone.h"\n')), 1)


class SizesTest(unittest.TestCase):
    def test_finds_a_long_function_and_only_that(self):
        body = "  int a = 0;\n" * 80
        text = f"namespace n {{\nclass C {{\n  void Short() {{ return; }}\n}};\nvoid Long() {{\n{body}}}\n}}\n"
        self.assertEqual(sizes.long_functions(text), [(5, 82)])

    def test_counts_no_braces_in_literals(self):
        text = 'void F() { Use("{", \'{\', 1\'000, R"({{{)"); }  // {\n' + "int x;\n" * 100
        self.assertEqual(sizes.long_functions(text), [])

    def test_refuses_a_long_file(self):
        self.assertEqual(len(sizes.check_file(PurePosixPath("a.cc"), "\n" * 601)[0]), 1)
        self.assertEqual(sizes.check_file(PurePosixPath("a.cc"), "\n" * 400), ([], []))


class DocsTest(unittest.TestCase):
    def test_finds_a_broken_link_and_a_missing_heading(self):
        with tempfile.TemporaryDirectory() as folder:
            root = pathlib.Path(folder)
            (root / "b.md").write_text("# A heading\n", encoding="utf-8")
            text = "[x](b.md) [x](b.md#a-heading) [x](b.md#none) [x](gone.md) [x](https://a.b) `[x](code.md)`\n"
            found = docs.broken_links(PurePosixPath("a.md"), text, root)
            self.assertEqual(["b.md#none" in found[0], "gone.md" in found[1], len(found)], [True, True, 2])

    def test_wants_a_readme_where_the_layout_has_one(self):
        files = [PurePosixPath(name) for name in ("README.md", "libs/a/a.h", "libs/b/b.h", "libs/b/README.md")]
        self.assertEqual(docs.folders_without_readme(files), ["libs/a"])


class ForbiddenTest(unittest.TestCase):
    def count(self, name, text):
        return len(forbidden.check_text(PurePosixPath(name), text))

    def test_finds_each_fault(self):
        self.assertEqual(self.count("a.cc", "// TO" + "DO: later\n"), 1)
        self.assertEqual(self.count("a.cc", 'Error("Not implemented ' + 'yet")\n'), 1)
        self.assertEqual(self.count("a.md", "see /wor" + "k/x\n"), 1)
        self.assertEqual(self.count("a.sh", "curl https://pypi" + ".org/x\n"), 1)

    def test_leaves_good_lines_alone(self):
        self.assertEqual(self.count("a.sh", "mktemp /tmp/a.XXXXXX; cd net/work/x\n"), 0)
        self.assertEqual(self.count("a.py", 'todos = "a todo list"\n'), 0)


class TallyTest(unittest.TestCase):
    def count(self, body, status="run"):
        case = tally.ElementTree.fromstring(f'<testcase status="{status}">{body}</testcase>')
        return tally.count_case(case)

    def test_counts_the_cases_of_a_program(self):
        output = "[  PASSED  ] 3 tests.\n[  SKIPPED ] 1 test, listed below:\n[  FAILED  ] 2 tests, listed below:\n"
        self.assertEqual(self.count(f"<system-out>{output}</system-out>", "fail"), (3, 2, 1))
        self.assertEqual(self.count("<system-out>7 passed, 0 failed, 1 skipped\n</system-out>"), (7, 0, 1))
        self.assertEqual(self.count("<system-out>fine</system-out>"), (1, 0, 0))

    def test_counts_a_crash_as_a_failure(self):
        self.assertEqual(self.count("<system-out>[ RUN      ] A.B\n</system-out>", "fail"), (0, 1, 0))
        self.assertEqual(self.count("<system-out>[  PASSED  ] 3 tests.\n</system-out>", "fail"), (3, 1, 0))

    def test_tells_a_missing_program_from_a_skip(self):
        self.assertEqual(self.count('<skipped message="Unable to find executable"/>', "notrun"), (0, 1, 0))
        self.assertEqual(self.count('<skipped message="SKIP_RETURN_CODE=77"/>', "notrun"), (0, 0, 1))


if __name__ == "__main__":
    unittest.main(verbosity=0)
