"""Every way to publish, what the receipts say, duplicates, and reading the log back."""

import json
import pathlib
import sys
import uuid

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))

from penstock_test.api import Api, cloud_event
from penstock_test.grpc_client import contracts
from penstock_test.suite import run_with_suite


def accepted(checks, name, response, event_id=None):
    checks.status(f"{name} is taken", response, 202)
    receipt = response.json()
    checks.equal(f"{name} is stored", receipt.get("status"), "ACCEPTED")
    if event_id:
        checks.equal(f"{name} keeps its id", receipt.get("id"), event_id)
    return receipt


def modes(suite, api, checks):
    """Publishes in every mode; gives {event id: (type, data)} of what must be readable."""
    http = suite.http
    accepted(
        checks, "binary mode", api.publish("mode.binary", {"n": 1}, event_id="m-binary"), "m-binary"
    )
    event = cloud_event(
        "mode.structured", {"n": 2}, event_id="m-structured", subject="s", retries=3
    )
    structured = {"Content-Type": "application/cloudevents+json; charset=utf-8"}
    answer = http.post("/events", json.dumps(event), headers=structured)
    accepted(checks, "structured mode", answer, "m-structured")

    message = contracts().message("io.cloudevents.v1.CloudEvent")(
        id="m-protobuf", source="/test", spec_version="1.0", type="mode.protobuf", text_data="text"
    )
    message.attributes["datacontenttype"].ce_string = "text/plain"
    protobuf = {"Content-Type": "application/cloudevents+protobuf"}
    answer = http.post("/events", message.SerializeToString(), headers=protobuf)
    accepted(checks, "structured protobuf", answer, "m-protobuf")

    nameless = {"ce-specversion": "1.0", "ce-source": "/test", "ce-type": "mode.nameless"}
    receipt = accepted(checks, "an event without id", http.post("/events", "{}", headers=nameless))
    checks.that("gets a uuid", uuid.UUID(receipt["id"]).version, receipt)
    headers = {"Event": "mode.event-header", "Content-Type": "application/json"}
    receipt = accepted(checks, "an Event header", http.post("/events", '{"n":4}', headers=headers))
    checks.that("it gets a uuid", uuid.UUID(receipt["id"]).version, receipt)
    with_key = {**headers, "Idempotency-Key": "key-1"}
    accepted(
        checks, "an idempotency key", http.post("/events", '{"n":5}', headers=with_key), "key-1"
    )
    again = http.post("/events", '{"n":5}', headers=with_key).json()
    checks.equal("the same key again is a duplicate", again.get("status"), "DUPLICATE")
    emitted = http.post("/_emit", '{"n":6}', headers={"Event": "mode.emit"})
    accepted(checks, "/_emit", emitted)
    root = http.post("/", '{"n":7}', headers={"Event": "mode.root"})
    accepted(checks, "the quick start's POST /", root)
    text = http.post(
        "/events", "plain", headers={"Event": "mode.text", "Content-Type": "text/plain"}
    )
    text_id = accepted(checks, "plain text", text)["id"]

    sent = suite.grpc.call(
        "broker",
        "Publish",
        {
            "event": {
                "id": "m-grpc",
                "source": "/test",
                "spec_version": "1.0",
                "type": "mode.grpc",
                "text_data": "from grpc",
            }
        },
    )
    checks.equal("gRPC Publish is stored", sent.status, 1)
    checks.equal("durably", sent.durability, 1)
    return {
        "m-binary": {"n": 1},
        "m-structured": {"n": 2},
        "m-protobuf": "text",
        "key-1": {"n": 5},
        receipt["id"]: {"n": 4},
        emitted.json()["id"]: {"n": 6},
        root.json()["id"]: {"n": 7},
        text_id: "plain",
    }


def batches(suite, api, checks):
    events = [cloud_event("batch.item", {"n": n}, event_id=f"b-{n}") for n in range(5)]
    answer = api.publish_batch(events)
    checks.status("a batch is taken", answer, 202)
    receipts = answer.json()
    checks.equal(
        "with a receipt for each, in order", [r["id"] for r in receipts], [e["id"] for e in events]
    )
    sequences = [int(receipt["sequence"]) for receipt in receipts]
    checks.equal("stored in order", sequences, sorted(sequences))

    mixed = [cloud_event("batch.item", event_id="b-good"), cloud_event("", event_id="b-bad")]
    answer = api.publish_batch(mixed)
    checks.status("a batch of which some are wrong", answer, 207)
    good, bad = answer.json()
    checks.equal("takes the good one", good.get("status"), "ACCEPTED")
    checks.contains("and says what is wrong", json.dumps(bad.get("error")), "type")
    answer = api.publish_batch([cloud_event("", event_id="b-bad")])
    checks.status("a batch of which all are wrong", answer, 400)
    answer = api.publish_batch([events[0], cloud_event("batch.item", event_id="b-new")])
    checks.status("a batch with a duplicate", answer, 202)
    states = [receipt.get("status") for receipt in answer.json()]
    checks.equal("says which it is", states, ["DUPLICATE", "ACCEPTED"])

    sent = suite.grpc.call(
        "broker",
        "PublishBatch",
        {
            "events": [
                {"id": "gb-1", "source": "/test", "spec_version": "1.0", "type": "batch.grpc"},
                {"id": "gb-2", "source": "", "spec_version": "1.0", "type": "batch.grpc"},
            ]
        },
    )
    checks.equal("gRPC PublishBatch takes the good one", sent.receipts[0].status, 1)
    checks.contains("and names the attribute", sent.receipts[1].error_message, "source")

    def entries():
        for number in range(300):
            event = {
                "id": f"st-{number}",
                "source": "/t",
                "spec_version": "1.0",
                "type": "stream.item",
            }
            yield {"entries": [{"correlation_id": number + 1, "event": event}]}

    receipts = []
    for message in suite.grpc.call("broker", "PublishStream", entries()):
        receipts.extend(message.receipts)
    checks.equal("PublishStream answers each entry", len(receipts), 300)
    correlations = sorted(receipt.correlation_id for receipt in receipts)
    checks.equal("by its correlation id", correlations, list(range(1, 301)))


def duplicates(api, checks):
    first = api.publish("dup.one", {"n": 1}, event_id="d-1").json()
    second = api.publish("dup.one", {"n": 1}, event_id="d-1")
    checks.status("the same event again", second, 202)
    checks.equal("is a duplicate", second.json().get("status"), "DUPLICATE")
    checks.equal("of the first one's sequence", second.json().get("sequence"), first["sequence"])
    checks.that("with the same content", not second.json().get("contentDiffers"), second)
    third = api.publish("dup.one", {"n": 2}, event_id="d-1").json()
    checks.equal("with other content too", third.get("status"), "DUPLICATE")
    checks.equal("which it says", third.get("contentDiffers"), True)
    other = api.publish("dup.one", {"n": 1}, event_id="d-1", source="/other").json()
    checks.equal("another source is another event", other.get("status"), "ACCEPTED")
    listed = api.http.get("/events?type=dup.one").json()["events"]
    checks.equal("each is stored once", len(listed), 2)
    ambiguous = api.http.get("/events/d-1")
    checks.status("an id of two sources", ambiguous, 409)
    checks.contains("names them", ambiguous.text(), "/other")
    one = api.http.get("/events/d-1?source=/other")
    checks.status("and is found by source", one, 200)


def reading(suite, api, expected, checks):
    http = suite.http
    for event_id, data in expected.items():
        stored = http.get(f"/events/{event_id}")
        if checks.status(f"GET /events/{event_id}", stored, 200):
            checks.equal("  its payload", stored.json()["event"].get("data"), data)
    stored = http.get("/events/m-structured").json()
    checks.equal("an extension keeps its value", stored["event"].get("retries"), 3)
    by_sequence = http.get(f"/events/sequence:{stored['sequence']}")
    checks.equal("by sequence", by_sequence.json()["event"]["id"], "m-structured")
    checks.status("an unknown id", http.get("/events/nobody"), 404)

    page = http.get("/events?pageSize=4").json()
    checks.equal("a page has its size", len(page["events"]), 4)
    read, token = page["events"], page.get("nextPageToken")
    while token:
        page = http.get(f"/events?pageSize=200&pageToken={token}").json()
        # A token belongs to its filters; the size of a page may change.
        read += page.get("events", [])
        token = page.get("nextPageToken")
    sequences = [int(event["sequence"]) for event in read]
    checks.that(
        "pages are in order without overlap", sequences == sorted(set(sequences)), sequences[:50]
    )
    checks.that("and complete", {e["event"]["id"] for e in read} >= set(expected), len(read))

    middle = sequences[len(sequences) // 2]
    part = http.get(f"/events?fromSequence={middle}&toSequence={middle}").json()["events"]
    checks.equal("by a range of sequences", [int(event["sequence"]) for event in part], [middle])
    newest = http.get("/events?newestFirst=true&pageSize=1").json()["events"][0]
    checks.equal("newest first", int(newest["sequence"]), sequences[-1])
    since = http.get(f"/events?fromTime={newest['appendTime']}").json()["events"]
    checks.that("by time", since and int(since[-1]["sequence"]) == sequences[-1], since[:2])
    future = http.get("/events?fromTime=2999-01-01T00:00:00Z").json()
    checks.equal("nothing from the future", future.get("events", []), [])
    typed = http.get("/events?type=mode.*").json()["events"]
    checks.that(
        "by type pattern",
        all(event["event"]["type"].startswith("mode.") for event in typed),
        typed[:2],
    )
    sourced = http.get("/events?source=/other").json()["events"]
    checks.equal("by source", [event["event"]["id"] for event in sourced], ["d-1"])
    same = suite.grpc.call("broker", "GetEvent", {"id": "m-grpc"})
    checks.equal("over gRPC", same.event.id, "m-grpc")
    listed = suite.grpc.call("broker", "ReadEvents", {"type": "mode.grpc"})
    checks.equal("and its list", [event.event.id for event in listed.events], ["m-grpc"])


def tailing(suite, api, checks):
    connection, answer = suite.http.stream("/events:tail?type=tail.*")
    checks.equal("a tail is answered at once", answer.status, 200)
    receipt = api.publish("tail.one", {"n": 1}, event_id="t-1").json()
    api.publish("other.one", {}, event_id="t-2")
    line = json.loads(answer.readline())
    line = line.get("result", line)
    checks.equal("an event appears in it", line["event"]["id"], "t-1")
    connection.close()
    path = f"/events:tail?type=tail.*&fromSequence={receipt['sequence']}"
    connection, answer = suite.http.stream(path, headers={"Accept": "text/event-stream"})
    checks.contains(
        "server-sent events when asked for", answer.getheader("Content-Type"), "text/event-stream"
    )
    lines = []
    while not any(line.startswith("data:") for line in lines):
        lines.append(answer.readline().decode())
    checks.contains("from a sequence on", "".join(lines), '"t-1"')
    connection.close()


def test(suite, checks):
    api = Api(suite.http)
    expected = {}
    with checks.section("modes"):
        expected = modes(suite, api, checks)
    with checks.section("batches and streams"):
        batches(suite, api, checks)
    with checks.section("duplicates"):
        duplicates(api, checks)
    with checks.section("reading"):
        reading(suite, api, expected, checks)
    with checks.section("tail"):
        tailing(suite, api, checks)


if __name__ == "__main__":
    run_with_suite(test)
