#!/usr/bin/env python3
"""Checks that files and functions stay small: a file is worth a warning above 400 lines and an error above 600, a function a warning above 70."""

import re
import sys

import sources

FILE_LINES_WARN = 400
FILE_LINES_MAX = 600
FUNCTION_LINES_WARN = 70

NOISE = re.compile(
    r'//[^\n]*|/\*.*?\*/|R"([^(\s]*)\(.*?\)\1"|"(?:\\.|[^"\\\n])*"|(?<![0-9a-fA-F])\'(?:\\.|[^\'\\\n])+\'',
    re.DOTALL)
NOT_A_FUNCTION = re.compile(r"^\s*(?:namespace|class|struct|enum|union|extern)\b|[=,(]\s*$")


def blank_noise(text):
    """The text with comments and literals emptied, line numbers kept."""
    return NOISE.sub(lambda match: "\n" * match.group(0).count("\n"), text)


def long_functions(text):
    """(first line, length) of each outermost function longer than the limit."""
    found, opened = [], []  # `opened` holds, for each open brace, the line its function starts at, or None.
    statement, statement_line, line = "", 1, 1
    for char in blank_noise(text):
        if char == "{":
            head = re.sub(r"^\s*#.*$", "", statement, flags=re.MULTILINE)
            inside = any(start is not None for start in opened)
            is_function = "(" in head and not inside and not NOT_A_FUNCTION.search(head)
            opened.append(statement_line if is_function else None)
        elif char == "}" and opened:
            start = opened.pop()
            if start is not None and line - start + 1 > FUNCTION_LINES_WARN:
                found.append((start, line - start + 1))
        if char in "{};":
            statement = ""
        elif statement.strip() or not char.isspace():
            if not statement.strip():
                statement_line = line
            statement += char
        if char == "\n":
            line += 1
    return found


def check_file(path, text):
    problems, warnings = [], []
    count = text.count("\n")
    if count > FILE_LINES_MAX:
        problems.append(f"{path}: {count} lines; at most {FILE_LINES_MAX}, better {FILE_LINES_WARN}")
    elif count > FILE_LINES_WARN:
        warnings.append(f"{path}: {count} lines; better at most {FILE_LINES_WARN}")
    for start, length in long_functions(text):
        warnings.append(f"{path}:{start}: a function of {length} lines; better at most {FUNCTION_LINES_WARN}")
    return problems, warnings


def check_tree(root=sources.ROOT):
    problems, warnings = [], []
    for path in sources.our_code(root):
        more_problems, more_warnings = check_file(path, sources.read(path, root))
        problems += more_problems
        warnings += more_warnings
    return problems, warnings


if __name__ == "__main__":
    sys.exit(sources.report(*check_tree()))
