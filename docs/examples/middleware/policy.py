"""Refuses orders that are too large, and marks the answers to others."""

import json
import os
import pathlib
from concurrent import futures

import grpc
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

pool = descriptor_pool.DescriptorPool()
described = pathlib.Path("runtime.pb").read_bytes()
for file in descriptor_pb2.FileDescriptorSet.FromString(described).file:
    pool.AddSerializedFile(file.SerializeToString())


def message(name):
    found = pool.FindMessageTypeByName(f"penstock.runtime.v1.{name}")
    if hasattr(message_factory, "GetMessageClass"):  # Since protobuf 4.22.
        return message_factory.GetMessageClass(found)
    return message_factory.MessageFactory(pool).GetPrototype(found)


Request, Response = message("ProcessCallRequest"), message("ProcessCallResponse")
LIMIT = 1000


def process(request, context):
    answer = Response()
    if request.after:
        if not request.HasField("error"):
            result = json.loads(request.payload.data)
            answer.payload.data = json.dumps({**result, "checked": True}).encode()
        return answer
    order = json.loads(request.payload.data)
    if order["amount"] > LIMIT:
        answer.error.category = "InputError"
        answer.error.type = "OrderTooLarge"
        answer.error.message = f"{order['amount']} is above {LIMIT}"
        return answer
    order["caller"] = request.caller or "nobody"
    answer.payload.data = json.dumps(order).encode()
    return answer


handler = grpc.unary_unary_rpc_method_handler(
    process,
    request_deserializer=Request.FromString,
    response_serializer=Response.SerializeToString,
)
server = grpc.server(futures.ThreadPoolExecutor(8))
server.add_generic_rpc_handlers(
    [
        grpc.method_handlers_generic_handler(
            "penstock.runtime.v1.MiddlewareService", {"ProcessCall": handler}
        )
    ]
)
server.add_insecure_port(os.environ.get("LISTEN", "127.0.0.1:7000"))
server.start()
server.wait_for_termination()
