"""Pull subscriptions: two gRPC consumers of which one dies, server-sent events, pulls and acknowledgements over HTTP."""

import pathlib
import queue
import sys
import threading

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))

import grpc
from penstock_test.api import Api, violated_fields
from penstock_test.grpc_client import GrpcClient
from penstock_test.suite import run_with_suite

EVENTS = 300


class Consumer:
    """A Subscribe stream on a connection of its own, read by a thread."""

    def __init__(self, port, subscription, credit, acknowledges=True):
        self.seen = []  # (event id, attempt, delivery id), in order of arrival.
        self.end = None
        self._acknowledges = acknowledges
        self._client = GrpcClient(port)
        self._requests = queue.Queue()
        self._requests.put({"subscription": subscription, "credit": credit})
        self._call = self._client.call(
            "broker", "Subscribe", iter(self._requests.get, None), timeout=120
        )
        self._thread = threading.Thread(target=self._read, daemon=True)
        self._thread.start()

    def _read(self):
        try:
            for message in self._call:
                for event in message.events:
                    self.seen.append((event.event.event.id, event.attempt, event.delivery_id))
                    if self._acknowledges:
                        self.say(acks=[event.delivery_id], credit=1)
        except grpc.RpcError as error:
            self.end = error.code()

    def say(self, **request):
        self._requests.put(request)

    def ids(self):
        return [seen[0] for seen in self.seen]

    def kill(self):
        """As a process that dies: the connection goes, and nobody says goodbye."""
        self._call.cancel()
        self._client.close()
        self._thread.join(10)
        self._requests.put(None)


class EventStream:
    """Server-sent events, read by a thread."""

    def __init__(self, http, path):
        headers = {"Accept": "text/event-stream"}
        self.connection, self.response = http.stream(path, headers, timeout=60)
        self.events = []  # {"id", "event", "data"}
        self._thread = threading.Thread(target=self._read, daemon=True)
        self._thread.start()

    def _read(self):
        event = {}
        try:
            for line in self.response:
                text = line.decode().rstrip("\n")
                if not text and event:
                    self.events.append(event)
                    event = {}
                elif text and not text.startswith(":"):
                    name, _, value = text.partition(": ")
                    event[name] = value
        except (OSError, ValueError, AttributeError):
            pass  # It was closed.

    def close(self):
        self.response.close()
        self.connection.close()


def pulled(api, checks, name, **more):
    made = api.create_subscription(name, {"eventType": f"{name}.*", "pull": more})
    checks.status(f"a pull subscription {name} can be created", made, 200)
    return f"spaces/default/subscriptions/{name}"


def post(api, name, verb, body):
    return api.http.post(f"{api.root}/subscriptions/{name}:{verb}", json_body=body)


def two_consumers(suite, api, checks):
    """What a dead consumer had in its hands goes to the other one; nothing is lost."""
    name = pulled(api, checks, "shared", ackTimeout="60s")
    port = suite.ports["grpc"]
    worker = Consumer(port, name, 20)
    silent = Consumer(port, name, 20, acknowledges=False)
    expected = {f"sh-{number}" for number in range(EVENTS)}
    for event_id in sorted(expected):
        api.publish("shared.one", {"id": event_id}, event_id)
    checks.eventually(
        "both get events, and all arrive",
        lambda: silent.seen and set(worker.ids()) | set(silent.ids()) == expected,
    )
    held = set(silent.ids())
    checks.equal("no event is with both", set(worker.ids()) & held, set())
    checks.that("the one that does not acknowledge gets no more than its credit", len(held) <= 20)
    checks.equal("first attempts all", {seen[1] for seen in worker.seen}, {1})
    silent.kill()
    checks.eventually("then all of it", lambda: set(worker.ids()) == expected)
    again = [seen for seen in worker.seen if seen[0] in held]
    checks.equal("what was lost comes as second attempts", {seen[1] for seen in again}, {2})
    checks.equal("once each", len(worker.seen), EVENTS)
    worker.kill()
    checks.equal("no dead letter came of it", api.dead_letters(subscription="shared"), [])


def acknowledgement_timeout(suite, api, checks):
    name = pulled(api, checks, "timed", ackTimeout="1s")
    first = Consumer(suite.ports["grpc"], name, 5, acknowledges=False)
    api.publish("timed.one", {}, "ti-1")
    checks.eventually("it is delivered", lambda: first.seen)
    second = Consumer(suite.ports["grpc"], name, 1)
    checks.eventually("after its time to another consumer", lambda: second.ids() == ["ti-1"])
    if first.seen:
        first.say(acks=[first.seen[0][2]])
        checks.equal("as the second attempt", [seen[1] for seen in second.seen], [2])
    first.kill()
    second.kill()


def deletion(suite, api, checks):
    name = pulled(api, checks, "gone")
    consumer = Consumer(suite.ports["grpc"], name, 5)
    api.publish("gone.one", {}, "go-1")
    checks.eventually("it delivers", lambda: consumer.ids() == ["go-1"])
    checks.status("it can be deleted", api.delete("subscriptions", "gone", force="true"), 200)
    checks.eventually("the stream ends", lambda: consumer.end == grpc.StatusCode.NOT_FOUND)
    consumer.kill()


def server_sent_events(api, checks):
    pulled(api, checks, "sse", ackTimeout="60s")
    stream = EventStream(api.http, f"{api.root}/subscriptions/sse:pull?auto_ack=true")
    checks.equal(
        "the stream says what it is", stream.response.getheader("Content-Type"), "text/event-stream"
    )
    expected = [f"ss-{number}" for number in range(150)]  # More than the default credit.
    for event_id in expected:
        api.publish("sse.one", {"n": event_id}, event_id)

    def ids():
        return [event["data"].split('"id":"')[1].split('"')[0] for event in stream.events]

    checks.eventually("events arrive in order", lambda: ids() == expected)
    checks.equal("named by their type", {event["event"] for event in stream.events}, {"sse.one"})
    stream.close()
    nothing = post(api, "sse", "pull", {"maxEvents": 10, "wait": "1s"})
    checks.equal("what was written is done", nothing.json().get("events", []), [])

    stream = EventStream(api.http, f"{api.root}/subscriptions/sse:pull?auto_ack=false&credit=2")
    for number in range(4):
        api.publish("sse.two", {}, f"st-{number}")
    checks.eventually("without acknowledgement the credit ends", lambda: len(stream.events) == 2)
    taken = [event["id"] for event in stream.events]
    acked = post(api, "sse", "ack", {"deliveryIds": taken[:1]})
    checks.status("a delivery is acknowledged by its id", acked, 200)
    checks.equal("which was out", acked.json().get("unknownDeliveryIds", []), [])
    checks.eventually("then the next one comes", lambda: len(stream.events) == 3)
    stream.close()
    seen = {}

    def rest():
        answer = post(api, "sse", "pull", {"maxEvents": 10, "wait": "2s"}).json()
        for event in answer.get("events", []):
            seen[event["event"]["event"]["id"]] = event
        return set(seen) == {"st-1", "st-2", "st-3"}

    checks.eventually("a client that went away leaves its events to others", rest)


def pull_and_acknowledge(api, checks):
    pulled(api, checks, "once", ackTimeout="60s")
    for number in range(3):
        api.publish("once.one", {"n": number}, f"on-{number}")
    taken = {}

    def take():
        answer = post(api, "once", "pull", {"maxEvents": 2, "wait": "5s"})
        for event in answer.json().get("events", []):
            taken[event["event"]["event"]["id"]] = event
        return len(taken) == 3

    checks.eventually("three events come in pulls of two", take)
    if len(taken) != 3:
        return
    ids = [taken[f"on-{number}"]["deliveryId"] for number in range(3)]
    checks.equal("with their data", taken["on-1"]["event"]["event"]["data"], {"n": 1})
    nack = post(api, "once", "nack", {"deliveryIds": ids[:1], "delay": "1s", "reason": "not now"})
    checks.status("one is rejected", nack, 200)
    checks.status("one needs longer", post(api, "once", "extend", {"deliveryIds": ids[1:2]}), 200)
    done = post(api, "once", "ack", {"deliveryIds": ids[1:]})
    checks.equal("two are done", done.json().get("unknownDeliveryIds", []), [])
    late = post(api, "once", "ack", {"deliveryIds": ids[1:] + ["nonsense"]})
    checks.equal(
        "done twice is said", late.json().get("unknownDeliveryIds"), [*ids[1:], "nonsense"]
    )
    again = {}

    def rejected():
        answer = post(api, "once", "pull", {"maxEvents": 5, "wait": "5s"})
        for event in answer.json().get("events", []):
            again[event["event"]["event"]["id"]] = event["attempt"]
        return again == {"on-0": 2}

    checks.eventually("the rejected one comes again", rejected)


def wrong_requests(api, checks):
    api.create_http("hook", "http://127.0.0.1:9/")
    api.subscribe("pushed", "pushed.*", "hook")
    refused = post(api, "pushed", "pull", {})
    checks.status("what is not pulled says so", refused, 400)
    checks.contains("by name", refused.text(), "pushed")
    checks.status("what does not exist too", post(api, "nobody", "pull", {}), 404)
    too_many = post(api, "once", "pull", {"maxEvents": 1000})
    checks.equal("too many events", violated_fields(too_many), ["maxEvents"])
    checks.equal("no ids", violated_fields(post(api, "once", "ack", {})), ["deliveryIds"])
    wrong = api.http.get(f"{api.root}/subscriptions/once:pull?credit=0")
    checks.equal("no credit", violated_fields(wrong), ["credit"])


def over_restart(suite, api, checks):
    """What is out when everything is killed comes again."""
    name = pulled(api, checks, "kept", ackTimeout="60s")
    consumer = Consumer(suite.ports["grpc"], name, 10, acknowledges=False)
    for number in range(5):
        api.publish("kept.one", {}, f"ke-{number}")
    checks.eventually("five are out", lambda: len(consumer.seen) == 5)
    suite.kill()
    consumer.kill()
    suite.start()
    after = Consumer(suite.ports["grpc"], name, 10)
    checks.eventually("five come again", lambda: len(set(after.ids())) == 5)
    after.kill()


def test(suite, checks):
    api = Api(suite.http)
    for part in (two_consumers, acknowledgement_timeout, deletion):
        with checks.section(part.__name__.replace("_", " ")):
            part(suite, api, checks)
    for part in (server_sent_events, pull_and_acknowledge, wrong_requests):
        with checks.section(part.__name__.replace("_", " ")):
            part(api, checks)
    with checks.section("over a restart"):
        over_restart(suite, api, checks)


if __name__ == "__main__":
    run_with_suite(test)
