"""gRPC calls without generated code: protoc describes the protos, messages are made from the description."""

import pathlib
import subprocess
import tempfile

import grpc
from google.protobuf import descriptor_pb2, descriptor_pool, json_format, message_factory

from penstock_test.process import source_dir

GOOGLEAPIS = "/usr/share/gocode/src/github.com/grpc-ecosystem/grpc-gateway/third_party/googleapis"
GRPC_PROTO = "/usr/share/grpc-proto"


class Contracts:
    """The messages and services of proto/, by full name."""

    def __init__(self):
        root = source_dir() / "proto"
        files = [str(path.relative_to(root)) for path in sorted(root.rglob("*.proto"))]
        with tempfile.TemporaryDirectory() as folder:
            described = pathlib.Path(folder) / "protos.pb"
            includes = [f"-I{root}", f"-I{GOOGLEAPIS}", f"-I{GRPC_PROTO}"]
            command = [
                "protoc",
                *includes,
                "--include_imports",
                f"--descriptor_set_out={described}",
            ]
            subprocess.run([*command, *files, "grpc/health/v1/health.proto"], check=True)
            self._set = descriptor_pb2.FileDescriptorSet.FromString(described.read_bytes())
        self._pool = descriptor_pool.DescriptorPool()
        for file in self._set.file:
            self._pool.Add(file)
        self._factory = message_factory.MessageFactory(self._pool)

    def descriptor_set(self):
        """All of it as the bytes of a FileDescriptorSet."""
        return self._set.SerializeToString()

    def message(self, full_name):
        """The class of a message."""
        return self._factory.GetPrototype(self._pool.FindMessageTypeByName(full_name))

    def method(self, service, method):
        """(request class, response class, client streams, server streams) of an RPC."""
        found = self._pool.FindServiceByName(service).methods_by_name[method]
        streams = (False, False)
        for file in self._set.file:
            for one in file.service:
                if f"{file.package}.{one.name}" == service:
                    rpc = next(rpc for rpc in one.method if rpc.name == method)
                    streams = (rpc.client_streaming, rpc.server_streaming)
        classes = [self._factory.GetPrototype(t) for t in (found.input_type, found.output_type)]
        return (*classes, *streams)


_contracts = None


def contracts():
    """The contracts, compiled once a process."""
    global _contracts  # pylint: disable=global-statement
    if _contracts is None:
        _contracts = Contracts()
    return _contracts


SERVICES = {
    "broker": "penstock.events.v1.EventBrokerService",
    "catalog": "penstock.events.v1.EventCatalogService",
    "functions": "penstock.functions.v1.FunctionManagerService",
    "executor": "penstock.executions.v1.FunctionExecutorService",
    "health": "grpc.health.v1.Health",
}


class GrpcClient:
    """Calls by service (a key of SERVICES or a full name) and method; requests may be dicts."""

    def __init__(self, port, host="127.0.0.1"):
        options = [("grpc.max_receive_message_length", 16 << 20), ("grpc.enable_retries", 0)]
        self._channel = grpc.insecure_channel(f"{host}:{port}", options=options)

    def close(self):
        self._channel.close()

    def call(self, service, method, request=None, timeout=20, metadata=None):
        """One call, of any of the four kinds by what the contract says: `request` is a dict, a message, or
        an iterable of them where the client streams. Gives a message, or an iterator of messages.
        """
        service = SERVICES.get(service, service)
        given, taken, client_streams, server_streams = contracts().method(service, method)
        kind = (
            f"{'stream' if client_streams else 'unary'}_{'stream' if server_streams else 'unary'}"
        )
        rpc = getattr(self._channel, kind)(
            f"/{service}/{method}",
            request_serializer=given.SerializeToString,
            response_deserializer=taken.FromString,
        )
        if client_streams:
            argument = (_message(given, one) for one in request)
        else:
            argument = _message(given, request or {})
        return rpc(argument, timeout=timeout, metadata=metadata)

    def error(self, service, method, request=None, **more):
        """The grpc.RpcError of a call that must fail; AssertionError when it does not."""
        try:
            answer = self.call(service, method, request, **more)
            if hasattr(answer, "__next__"):
                next(answer)
        except grpc.RpcError as error:
            return error
        raise AssertionError(f"{method} succeeded, an error was expected")

    def raw(self, path, data=b"", timeout=10):
        """A unary call of any path with bytes as they are."""
        return self._channel.unary_unary(path, lambda given: given, lambda taken: taken)(
            data, timeout=timeout
        )


def _message(message_class, value):
    if isinstance(value, dict):
        return json_format.ParseDict(value, message_class())
    return value


def to_dict(message):
    return json_format.MessageToDict(message)
