"""A publisher over raw sockets: a steady rate of batches, and exact books of what was acknowledged."""

import asyncio
import json
import threading
import time

ANSWER_SECONDS = 15


class Load:
    """Publishes `rate` events a second in its own thread, in batches over kept connections.

    A batch that got no answer, or one that asks to come again, is sent again with the same ids, as
    a careful client does; an event counts as acknowledged once its receipt came. With `keys`, each
    event has one of so many partition keys.
    """

    def __init__(
        self,
        port,
        rate,
        event_type,
        prefix,
        connections=8,
        batch=25,
        payload_bytes=64,
        keys=0,
        space="default",
    ):
        self.acknowledged = []
        self.refused = []  # (id, error) of what will never be taken.
        self.failures = {}  # How often a request failed, by what happened.
        self._port = port
        self._rate = rate
        self._type = event_type
        self._prefix = prefix
        self._connections = connections
        self._batch = batch
        self._payload = "x" * payload_bytes
        self._keys = keys
        self._path = f"/spaces/{space}/events"
        self._stop = False
        self._next = 0
        self._thread = threading.Thread(target=lambda: asyncio.run(self._run()), daemon=True)

    def start(self):
        self._thread.start()
        return self

    def stop(self, seconds=60):
        """Ends after every batch under way was acknowledged; AssertionError when that does not happen."""
        self._stop = True
        self._thread.join(seconds)
        assert not self._thread.is_alive(), "the last events were not acknowledged in time"

    async def _run(self):
        await asyncio.gather(*(self._connection() for _ in range(self._connections)))

    async def _connection(self):
        pause = self._batch * self._connections / self._rate
        due = time.monotonic()
        stream = None
        while not self._stop:
            due = max(due + pause, time.monotonic() - 1)  # What an outage cost is not made up for.
            waiting = self._make_events()
            while waiting:
                if stream is None:
                    stream = await self._connect()
                waiting, usable = await self._send(stream, waiting)
                if not usable:
                    stream[1].close()
                    stream = None
                if waiting:
                    await asyncio.sleep(0.05)
            await asyncio.sleep(max(0, due - time.monotonic()))
        if stream:
            stream[1].close()

    def _make_events(self):
        first = self._next
        self._next += self._batch
        return [f"{self._prefix}-{number}" for number in range(first, first + self._batch)]

    async def _connect(self):
        while True:
            try:
                return await asyncio.open_connection("127.0.0.1", self._port)
            except OSError:
                self._count("no connection")
                await asyncio.sleep(0.02)

    def _count(self, what):
        self.failures[what] = self.failures.get(what, 0) + 1

    def _key(self, event_id):
        if not self._keys:
            return ""
        return f'"partitionkey":"k{int(event_id.rsplit("-", 1)[1]) % self._keys}",'

    def _request(self, ids):
        sent = time.time_ns() // 1000
        events = ",".join(
            f'{{"specversion":"1.0","id":"{one}","source":"/load","type":"{self._type}",'
            f'"sentus":"{sent}",{self._key(one)}"data":"{self._payload}"}}'
            for one in ids
        )
        body = f"[{events}]".encode()
        head = (
            f"POST {self._path} HTTP/1.1\r\nHost: localhost\r\n"
            f"Content-Type: application/cloudevents-batch+json\r\nContent-Length: {len(body)}\r\n\r\n"
        )
        return head.encode() + body

    async def _send(self, stream, ids):
        """Sends a batch; gives the ids that must be sent again, and whether the connection goes on."""
        reader, writer = stream
        try:
            writer.write(self._request(ids))
            status, body = await asyncio.wait_for(_read_answer(reader), ANSWER_SECONDS)
        except (OSError, ValueError, EOFError, asyncio.TimeoutError) as error:
            self._count(type(error).__name__)
            return ids, False
        if status not in (202, 207, 400):
            self._count(f"status {status}")
            return ids, True
        return self._note(ids, json.loads(body)), True

    def _note(self, ids, receipts):
        if not isinstance(receipts, list) or len(receipts) != len(ids):
            self.refused.append((ids[0], f"receipts that do not fit: {str(receipts)[:200]}"))
            return []
        again = []
        for event_id, receipt in zip(ids, receipts):
            if receipt.get("status") in ("ACCEPTED", "DUPLICATE"):
                self.acknowledged.append(event_id)
            elif receipt.get("error", {}).get("code") in (4, 8, 10, 13, 14):
                self._count(f"refused with code {receipt['error']['code']}")
                again.append(event_id)
            else:
                self.refused.append((event_id, receipt))
        return again


async def _read_answer(reader):
    head = await reader.readuntil(b"\r\n\r\n")
    lines = head.decode("latin-1").split("\r\n")
    status = int(lines[0].split()[1])
    length = 0
    for line in lines[1:]:
        if line.lower().startswith("content-length:"):
            length = int(line.split(":")[1])
    return status, await reader.readexactly(length)
