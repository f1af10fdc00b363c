"""gRPC's Python library on the services' own ports: the streams that they serve without gRPC's library, and all else."""

import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))

import grpc

from penstock_test.grpc_client import GrpcClient, contracts
from penstock_test.suite import run_with_suite

BROKER = "penstock.events.v1.EventBrokerService"
INVOCATION = "penstock.internal.v1.InvocationService"


def event(number):
    return {
        "id": f"s-{number}",
        "source": "/test",
        "spec_version": "1.0",
        "type": "streams.one",
        "text_data": "x" * 1000,
    }


def stream_on(port, service, method, compression=None, limit=None):
    """A stream-stream callable and the class of its requests."""
    given, taken, _, _ = contracts().method(service, method)
    options = [("grpc.max_send_message_length", limit)] if limit else None
    channel = grpc.insecure_channel(f"127.0.0.1:{port}", options=options, compression=compression)
    path = f"/{service}/{method}"
    return channel.stream_stream(path, given.SerializeToString, taken.FromString), given


def code_of(answers):
    """How a stream ends, after everything was read."""
    try:
        for _ in answers:
            pass
        return grpc.StatusCode.OK
    except grpc.RpcError as error:
        return error.code()


def publish(suite, checks):
    broker = suite.ports["broker"]
    client = GrpcClient(broker)
    entries = [{"entries": [{"correlation_id": i, "event": event(i)}]} for i in range(1, 201)]
    for name, timeout in {"without a deadline": None, "with a deadline": 20}.items():
        answers = client.call("broker", "PublishStream", iter(entries), timeout=timeout)
        ids = [receipt.correlation_id for message in answers for receipt in message.receipts]
        checks.equal(f"each entry {name} has its receipt", ids, list(range(1, 201)))

    call, request = stream_on(broker, BROKER, "PublishStream", grpc.Compression.Gzip)
    message = request()
    for i in range(100):
        entry = message.entries.add(correlation_id=i)
        one = event(f"gzip-{i}")
        for key, value in one.items():
            setattr(entry.event, key, value)
    answers = call(iter([message]), timeout=20)
    count = sum(len(answer.receipts) for answer in answers)
    checks.equal("compressed messages are taken", count, 100)

    call, request = stream_on(broker, BROKER, "PublishStream", limit=64 << 20)
    large = request()
    large.entries.add(correlation_id=1).event.text_data = "x" * (9 << 20)
    checks.equal(
        "a message beyond the limit",
        code_of(call(iter([large]), timeout=20)),
        grpc.StatusCode.RESOURCE_EXHAUSTED,
    )

    silent = call(iter([request()]), timeout=20)
    checks.equal("a stream without entries", code_of(silent), grpc.StatusCode.OK)
    checks.equal(
        "unary calls on the same port",
        client.call("health", "Check", {"service": BROKER}).status,
        1,
    )
    checks.equal(
        "an unknown method",
        unknown_code(client),
        grpc.StatusCode.UNIMPLEMENTED,
    )
    client.close()


def unknown_code(client):
    try:
        client.raw(f"/{BROKER}/NoSuchMethod")
    except grpc.RpcError as error:
        return error.code()
    return None


def invoke(suite, checks):
    token = (suite.folder / "peer.token").read_text(encoding="utf-8").strip()
    call, request = stream_on(suite.ports["executor"], INVOCATION, "InvokeStream")
    for name, given, expected in (
        ("without the token", None, grpc.StatusCode.UNAUTHENTICATED),
        ("with another", [("penstock-peer-token", "x" * 64)], grpc.StatusCode.PERMISSION_DENIED),
    ):
        answers = call(iter([request(broker="test")]), timeout=20, metadata=given)
        checks.equal(f"a stream of deliveries {name}", code_of(answers), expected)
    answers = call(
        iter([request(broker="test")]), timeout=20, metadata=[("penstock-peer-token", token)]
    )
    messages = list(answers)
    checks.that("one with the token is greeted", messages[0].instance, messages)
    checks.that("and gets credit", sum(message.credit for message in messages) > 0, messages)


def test(suite, checks):
    with checks.section("publish"):
        publish(suite, checks)
    with checks.section("invoke"):
        invoke(suite, checks)


if __name__ == "__main__":
    run_with_suite(test)
