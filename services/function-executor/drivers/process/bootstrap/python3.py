"""Runs a Python function as a worker of Penstock's process driver.

Started as `python3 bootstrap.py SOURCE HANDLER` in the function's work folder. Requests arrive and answers
leave as JSON lines on two private descriptors, so that print() and subprocesses can write what they like.
"""

import base64
import fcntl
import json
import os
import sys
import traceback
import types

FRAMES_MAX = 64
METRICS_MAX = 32
METRICS = []  # What the function measured in this call.
BOOTSTRAP = os.path.abspath(__file__)


class InputError(Exception):
    """Raised by a function to say that its caller is to blame: the input is wrong."""


class Channel:
    """The private descriptors, out of the reach of subprocesses and forked children."""

    def __init__(self):
        # The numbers are passed by name so that nothing else of the environment is needed.
        numbers = os.environ.pop("PENSTOCK_CHANNEL").split(",")
        request, answer = (self._hide(int(number)) for number in numbers)
        self._requests = os.fdopen(request, "rb", 65536)
        self._answer = answer
        self._pid = os.getpid()
        os.register_at_fork(after_in_child=self._abandon)

    @staticmethod
    def _hide(number):
        # A high number keeps out of the way of code that counts on low ones.
        hidden = fcntl.fcntl(number, fcntl.F_DUPFD_CLOEXEC, 100)
        os.close(number)
        return hidden

    def _abandon(self):
        os.close(self._requests.fileno())
        os.close(self._answer)

    def read(self):
        """The next request line; empty at the end."""
        return self._requests.readline()

    def write(self, answer):
        """Sends one answer, given as JSON text."""
        if os.getpid() != self._pid:
            os._exit(0)  # A forked child that returned from the function is no worker.
        flush_output()
        data = memoryview(answer.encode("utf-8") + b"\n")
        while data:
            data = data[os.write(self._answer, data) :]


def flush_output():
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except Exception:  # The function may have closed or replaced it.
            pass


def frames_of(error):
    lines = []
    for frame in traceback.extract_tb(error.__traceback__):
        if os.path.abspath(frame.filename) == BOOTSTRAP:
            continue
        text = f"File {frame.filename!r}, line {frame.lineno}, in {frame.name}"
        lines.append(f"{text}: {frame.line}" if frame.line else text)
    return lines[-FRAMES_MAX:]


def text_of(error):
    try:
        return str(error)
    except Exception:
        return "(an error that cannot be shown)"


def describe(error):
    category = "InputError" if isinstance(error, InputError) else "FunctionError"
    message = text_of(error)
    if not message:
        message = "out of memory" if isinstance(error, MemoryError) else type(error).__name__
    return failure(category, type(error).__name__, message, frames_of(error))


def failure(category, kind, message, stacktrace=()):
    return {
        "category": category,
        "type": kind,
        "message": message,
        "stacktrace": list(stacktrace),
    }


def encode_failure(error, **more):
    return json.dumps({**more, "error": error})


def encode_result(result):
    if isinstance(result, (bytes, bytearray, memoryview)):
        text = base64.b64encode(result).decode("ascii")
        result = {"base64": text, "contentType": "application/octet-stream"}
    try:
        text = json.dumps(
            {"payload": result}, ensure_ascii=False, allow_nan=False, separators=(",", ":")
        )
        text.encode("utf-8")
        return text
    except MemoryError as error:
        return encode_failure(describe(error))
    except Exception as error:
        message = f"the result, of type {type(result).__name__}, is not JSON: {text_of(error)}"
        return encode_failure(failure("FunctionError", "Unserializable", message))


def load(source, handler_name):
    """Loads the function's source and returns its handler."""
    penstock = types.ModuleType("penstock", "What Penstock offers to functions.")
    penstock.InputError = InputError
    penstock.metric = metric
    InputError.__module__ = "penstock"
    sys.modules["penstock"] = penstock

    module = types.ModuleType("function")
    module.__file__ = os.path.abspath(source)
    sys.modules["function"] = module
    sys.argv = [source]
    sys.path[0] = os.path.dirname(module.__file__)
    if sys.path[0] != os.getcwd():
        sys.path.insert(1, os.getcwd())
    with open(source, "rb") as file:
        code = compile(file.read(), source, "exec", dont_inherit=True)
    exec(code, module.__dict__)
    handler = getattr(module, handler_name, None)
    if not callable(handler):
        raise LookupError(f"the source defines no function named {handler_name!r}")
    return handler


def answer_to(handler, line):
    try:
        request = json.loads(line)
        context, payload = request["context"], request["payload"]
    except Exception as error:
        message = f"the payload cannot be read: {text_of(error)}"
        return encode_failure(failure("InputError", type(error).__name__, message))
    METRICS.clear()
    try:
        answer = encode_result(handler(context, payload))
    except SystemExit:
        raise
    except BaseException as error:
        answer = encode_failure(describe(error))
    return with_metrics(answer)


def metric(name, value=1, **labels):
    """Adds `value` to the counter `penstock_function_{name}`, told apart by labels."""
    labels = {key: str(text) for key, text in labels.items()}
    METRICS.append({"name": str(name), "value": float(value), "labels": labels})


def with_metrics(answer):
    if not METRICS:
        return answer
    try:
        text = json.dumps(METRICS[:METRICS_MAX], allow_nan=False)
    except ValueError as error:
        print(f"the metrics are left out: {error}", file=sys.stderr)
        return answer
    return f'{answer[:-1]},"metrics":{text}}}'


def exit_code(error):
    if error.code is None:
        return 0
    if isinstance(error.code, int):
        return error.code & 0xFF
    print(error.code, file=sys.stderr)
    return 1


def main():
    source, handler_name = sys.argv[1:3]
    channel = Channel()
    # Lines reach the log as they are written: a worker may be killed at any moment.
    sys.stdout.reconfigure(line_buffering=True, errors="backslashreplace")
    try:
        handler = load(source, handler_name)
    except BaseException as error:
        channel.write(encode_failure(describe(error), ready=False))
        os._exit(1)
    channel.write('{"ready":true}')
    while line := channel.read():
        try:
            answer = answer_to(handler, line)
        except SystemExit as error:
            # Threads of the function must not keep a worker that was told to exit.
            code = exit_code(error)
            flush_output()
            os._exit(code)
        channel.write(answer)


main()
