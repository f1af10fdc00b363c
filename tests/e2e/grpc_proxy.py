"""gRPC's Python library on both sides of the gateway: all four kinds of call to a server outside the suite, and the suite's own."""

import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))

from concurrent import futures

import grpc

from penstock_test.process import free_ports
from penstock_test.suite import run_with_suite

PORT = free_ports(1)[0]
SERVICE = "acme.v1.Any"


class Upstream(grpc.GenericRpcHandler):
    """Messages are bytes; the method's name says what it does."""

    def service(self, handler_call_details):
        make = {
            "Unary": lambda: grpc.unary_unary_rpc_method_handler(self.unary),
            "Down": lambda: grpc.unary_stream_rpc_method_handler(self.down),
            "Up": lambda: grpc.stream_unary_rpc_method_handler(self.up),
            "Both": lambda: grpc.stream_stream_rpc_method_handler(self.both),
            "Fail": lambda: grpc.unary_unary_rpc_method_handler(self.fail),
        }.get(handler_call_details.method.rsplit("/", 1)[1])
        return make() if make else None

    @staticmethod
    def unary(request, context):
        seen = dict(context.invocation_metadata())
        context.send_initial_metadata((("x-head-bin", seen.get("x-up-bin", b"")),))
        context.set_trailing_metadata((("x-trailer", seen.get("x-up", "")),))
        return request + b"!"

    @staticmethod
    def down(request, _):
        for i in range(int(request)):
            yield str(i).encode()

    @staticmethod
    def up(requests, _):
        return str(sum(len(request) for request in requests)).encode()

    @staticmethod
    def both(requests, _):
        for request in requests:
            yield request[::-1]

    @staticmethod
    def fail(_, context):
        context.abort(grpc.StatusCode.ABORTED, "näh, 100 %")


def error_of(call):
    try:
        call()
    except grpc.RpcError as error:
        return error
    return None


def test(suite, checks):
    server = grpc.server(futures.ThreadPoolExecutor(4), handlers=(Upstream(),))
    server.add_insecure_port(f"127.0.0.1:{PORT}")
    server.start()
    channel = grpc.insecure_channel(f"127.0.0.1:{suite.ports['grpc']}")
    path = f"/{SERVICE}/"

    unary = channel.unary_unary(f"{path}Unary")
    answer, call = unary.with_call(
        b"hello", metadata=(("x-up", "1"), ("x-up-bin", b"\x00\xff")), timeout=10
    )
    checks.equal("a unary call", answer, b"hello!")
    checks.equal("binary metadata", dict(call.initial_metadata())["x-head-bin"], b"\x00\xff")
    checks.equal("trailers", dict(call.trailing_metadata())["x-trailer"], "1")
    packed = unary(b"z" * 100_000, compression=grpc.Compression.Gzip, timeout=10)
    checks.equal("a compressed call", len(packed), 100_001)
    down = list(channel.unary_stream(f"{path}Down")(b"1000", timeout=20))
    checks.equal("a server stream", down, [str(i).encode() for i in range(1000)])
    total = channel.stream_unary(f"{path}Up")((b"x" * 1000 for _ in range(500)), timeout=20)
    checks.equal("a client stream", total, b"500000")
    both = list(channel.stream_stream(f"{path}Both")(iter([b"ab", b"", b"cd"]), timeout=10))
    checks.equal("a stream both ways", both, [b"ba", b"", b"dc"])
    error = error_of(lambda: channel.unary_unary(f"{path}Fail")(b"", timeout=10))
    checks.equal("a status", error.code(), grpc.StatusCode.ABORTED)
    checks.equal("its message", error.details(), "näh, 100 %")
    error = error_of(lambda: channel.unary_unary("/acme.v2.Any/Unary")(b"", timeout=10))
    checks.equal("an unknown method", error.code(), grpc.StatusCode.UNIMPLEMENTED)
    checks.equal("and its message", error.details(), "Unknown method")
    error = error_of(lambda: channel.unary_unary(f"{path}Secret")(b"", timeout=10))
    checks.equal("a denied method", error.details(), "Unknown method")
    server.stop(None).wait()
    error = error_of(lambda: unary(b"", timeout=10))
    checks.equal("an upstream that is away", error.code(), grpc.StatusCode.UNAVAILABLE)
    checks.contains("it is named", error.details(), "acme")
    listed = suite.grpc.call("functions", "ListFunctions", {"parent": "spaces/default"})
    checks.that("the suite's own services answer beside it", listed is not None)


if __name__ == "__main__":
    UPSTREAM = f"[{{name: acme, addresses: ['127.0.0.1:{PORT}'], methods: [{SERVICE}]}}]"
    FLAGS = [f"--grpc.upstreams={UPSTREAM}", f"--grpc.deny={SERVICE}/Secret"]
    run_with_suite(test, needs_shape="services", options={"gateway": FLAGS})
