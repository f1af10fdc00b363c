"""As much of the WebSocket protocol (RFC 6455) as a test of tunnels needs, on plain sockets."""

import base64
import hashlib
import os
import socket
import struct
import threading

GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
TEXT, CLOSE, PING, PONG = 1, 8, 9, 10


def accept_of(key):
    return base64.b64encode(hashlib.sha1(key.encode() + GUID).digest()).decode()


class Frames:
    """Whole messages over a connection whose handshake is done."""

    def __init__(self, connection, stream, masks):
        self._connection = connection
        self._stream = stream
        self._masks = masks

    def send(self, kind, payload):
        mask = os.urandom(4) if self._masks else b""
        size = len(payload)
        flag = 0x80 if self._masks else 0
        if size < 126:
            head = struct.pack("!BB", 0x80 | kind, flag | size)
        elif size < 65536:
            head = struct.pack("!BBH", 0x80 | kind, flag | 126, size)
        else:
            head = struct.pack("!BBQ", 0x80 | kind, flag | 127, size)
        if mask:
            payload = bytes(byte ^ mask[i % 4] for i, byte in enumerate(payload))
        self._connection.sendall(head + mask + payload)

    def receive(self):
        """(kind, payload); (CLOSE, b"") at the end of the connection."""
        head = self._stream.read(2)
        if len(head) < 2:
            return CLOSE, b""
        size = head[1] & 0x7F
        if size == 126:
            size = struct.unpack("!H", self._stream.read(2))[0]
        elif size == 127:
            size = struct.unpack("!Q", self._stream.read(8))[0]
        mask = self._stream.read(4) if head[1] & 0x80 else b""
        payload = self._stream.read(size)
        if mask:
            payload = bytes(byte ^ mask[i % 4] for i, byte in enumerate(payload))
        return head[0] & 0x0F, payload


def read_head(stream):
    """The first line, and the fields by their names in lower case."""
    first = stream.readline().decode().strip()
    fields = {}
    while True:
        line = stream.readline().decode().strip()
        if not line:
            return first, fields
        name, value = line.split(":", 1)
        fields[name.lower()] = value.strip()


class EchoServer:
    """Sends every message back, and answers a close with a close."""

    def __init__(self):
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self):
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection):
        with connection, connection.makefile("rb") as stream:
            _, fields = read_head(stream)
            connection.sendall(
                "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                f"Sec-WebSocket-Accept: {accept_of(fields['sec-websocket-key'])}\r\n\r\n".encode()
            )
            frames = Frames(connection, stream, masks=False)
            while True:
                kind, payload = frames.receive()
                if kind == CLOSE:
                    frames.send(CLOSE, payload)
                    return
                frames.send(PONG if kind == PING else kind, payload)

    def close(self):
        self._listener.close()


class Client:
    """Connects and shakes hands; `status` is the answer's."""

    def __init__(self, port, path):
        key = base64.b64encode(os.urandom(16)).decode()
        self._connection = socket.create_connection(("127.0.0.1", port), timeout=20)
        self._connection.sendall(
            f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nUpgrade: websocket\r\n"
            f"Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
            f"Sec-WebSocket-Key: {key}\r\n\r\n".encode()
        )
        self._stream = self._connection.makefile("rb")
        first, fields = read_head(self._stream)
        self.status = int(first.split()[1])
        self.accepted = fields.get("sec-websocket-accept") == accept_of(key)
        self.frames = Frames(self._connection, self._stream, masks=True)

    def close(self):
        self._stream.close()
        self._connection.close()
