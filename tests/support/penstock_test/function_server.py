"""An HTTP function for tests: records each call and answers as it was told, path by path."""

import http.server
import json
import socket
import ssl
import threading


class Call:
    """One request that arrived."""

    def __init__(self, method, path, headers, body):
        self.method = method
        self.path = path
        self.headers = {name.lower(): value for name, value in headers}
        self.body = body

    def json(self):
        return json.loads(self.body)

    @property
    def event_id(self):
        return self.headers.get("ce-id")

    @property
    def attempt(self):
        return int(self.headers.get("penstock-attempt", 0))

    @property
    def delivery_id(self):
        return self.headers.get("penstock-delivery-id")


class Answer:
    """What to answer: a status with headers and body, or a way to misbehave."""

    def __init__(self, status=200, body=b"", headers=None, misbehave=None):
        self.status = status
        self.body = body if isinstance(body, bytes) else str(body).encode()
        self.headers = headers or {}
        self.misbehave = misbehave  # "hang", "close", "garbage" or "cut".


def json_answer(value, status=200, headers=None):
    return Answer(
        status, json.dumps(value), {"Content-Type": "application/json", **(headers or {})}
    )


class FunctionServer:
    """Paths have a plan: a list of answers (the last one repeats), or a callable from Call to Answer.

    `tls` is a certificate and its key, as files.
    """

    def __init__(self, tls=None):
        self._lock = threading.Lock()
        self._calls = []
        self._plans = {}
        self._release = threading.Event()
        outer = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, *_):
                pass

            def _serve(self):
                length = int(self.headers.get("Content-Length", 0))
                body = self.rfile.read(length)
                call = Call(self.command, self.path, self.headers.items(), body)
                outer._answer(self, call)  # pylint: disable=protected-access

            do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = do_HEAD = do_OPTIONS = _serve

        class Server(http.server.ThreadingHTTPServer):
            daemon_threads = True
            request_queue_size = 256

            def handle_error(self, request, client_address):
                pass  # A caller that went away in the middle is a case some tests make.

        self._server = Server(("127.0.0.1", 0), Handler)
        self.port = self._server.server_address[1]
        self.url = f"{'https' if tls else 'http'}://127.0.0.1:{self.port}"
        if tls:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(*tls)
            # The handshake is for the thread of the connection.
            self._server.socket = context.wrap_socket(
                self._server.socket, server_side=True, do_handshake_on_connect=False
            )
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def plan(self, path, *answers):
        """What `path` answers from now on, first call first."""
        with self._lock:
            self._plans[path] = answers[0] if callable(answers[0]) else list(answers)

    def calls(self, path=None):
        """The calls so far, without the query part in comparing."""
        with self._lock:
            return [call for call in self._calls if path is None or call.path.split("?")[0] == path]

    def ids(self, path):
        """The event ids that arrived at `path`, in order."""
        return [call.event_id for call in self.calls(path)]

    def forget(self):
        with self._lock:
            self._calls.clear()

    def release(self):
        """Lets every hanging call go."""
        self._release.set()

    def close(self):
        self._release.set()
        self._server.shutdown()
        self._server.server_close()

    def _next_answer(self, call):
        path = call.path.split("?")[0]
        with self._lock:
            self._calls.append(call)
            plan = self._plans.get(path)
            if isinstance(plan, list):
                return plan.pop(0) if len(plan) > 1 else plan[0]
        return plan(call) if plan else json_answer({"path": path})

    def _answer(self, handler, call):
        answer = self._next_answer(call)
        if answer.misbehave:
            self._misbehave(handler, answer.misbehave)
            return
        handler.send_response(answer.status)
        for name, value in answer.headers.items():
            handler.send_header(name, value)
        handler.send_header("Content-Length", str(len(answer.body)))
        handler.end_headers()
        if call.method != "HEAD":
            handler.wfile.write(answer.body)

    def _misbehave(self, handler, how):
        handler.close_connection = True
        if how == "hang":
            self._release.wait(120)
        elif how == "garbage":
            handler.wfile.write(b"\x00\x01 this is not HTTP at all\r\n\r\n\xff")
        elif how == "cut":
            handler.wfile.write(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nonly this")
        try:
            handler.wfile.flush()
            handler.connection.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass
