"""A small HTTP client: no redirects, no retries, connections kept for each thread."""

import http.client
import json
import threading
import urllib.parse


class Response:
    def __init__(self, status, headers, body):
        self.status = status
        self.headers = headers  # Pairs, as they came.
        self.body = body

    def header(self, name, default=None):
        for key, value in self.headers:
            if key.lower() == name.lower():
                return value
        return default

    def text(self):
        return self.body.decode("utf-8", errors="replace")

    def json(self):
        return json.loads(self.body)

    def __repr__(self):
        return f"<{self.status} {self.text()[:300]}>"


class HttpClient:
    """Requests to one server. Thread-safe: each thread has its own connection."""

    def __init__(self, port, host="127.0.0.1", timeout=30):
        self.host = host
        self.port = port
        self.timeout = timeout
        self._local = threading.local()

    def request(self, method, path, body=None, headers=None, json_body=None, timeout=None):
        headers = dict(headers or {})
        if json_body is not None:
            body = json.dumps(json_body)
            headers.setdefault("Content-Type", "application/json")
        if isinstance(body, str):
            body = body.encode()
        fresh = timeout is not None or getattr(self._local, "connection", None) is None
        connection = (
            http.client.HTTPConnection(self.host, self.port, timeout=timeout or self.timeout)
            if fresh
            else self._local.connection
        )
        try:
            connection.request(method, path, body=body, headers=headers)
            answer = connection.getresponse()
            response = Response(answer.status, answer.getheaders(), answer.read())
        except (OSError, http.client.HTTPException):
            connection.close()
            self._local.connection = None
            if fresh:
                raise
            # A kept connection may have been closed by the server between two requests.
            return self.request(method, path, body, headers, timeout=self.timeout)
        if answer.will_close or timeout is not None:
            connection.close()
            if timeout is None:
                self._local.connection = None
        else:
            self._local.connection = connection
        return response

    def get(self, path, **more):
        return self.request("GET", path, **more)

    def post(self, path, body=None, **more):
        return self.request("POST", path, body, **more)

    def patch(self, path, json_body, **more):
        return self.request("PATCH", path, json_body=json_body, **more)

    def delete(self, path, **more):
        return self.request("DELETE", path, **more)

    def stream(self, path, headers=None, timeout=20):
        """Opens a GET whose body never ends; gives (connection, response) for line-wise reading."""
        connection = http.client.HTTPConnection(self.host, self.port, timeout=timeout)
        connection.request("GET", path, headers=headers or {})
        return connection, connection.getresponse()


def query(**parameters):
    """`?a=1&b=2` of those that are not None."""
    pairs = [(name, value) for name, value in parameters.items() if value is not None]
    return "?" + urllib.parse.urlencode(pairs) if pairs else ""
