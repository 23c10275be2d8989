"""Calls as SDKs make them, and as they should not."""

from __future__ import annotations

import http.client

import grpc


def post(address, path, body, content_type="application/x-protobuf", **headers):
    """Status, type and body of the answer to an HTTP call."""
    connection = http.client.HTTPConnection(address, timeout=20)
    try:
        connection.request("POST", path, body, {"Content-Type": content_type, **headers})
        answer = connection.getresponse()
        return answer.status, answer.getheader("content-type"), answer.read()
    finally:
        connection.close()


def export(address, message, service="logs.v1.LogsService", credentials=None, **call):
    """The bytes of the answer to a gRPC call; raises `grpc.RpcError` for a refusal."""
    body = message if isinstance(message, bytes) else message.SerializeToString()
    options = [("grpc.max_send_message_length", -1)]
    opened = (
        grpc.secure_channel(address, credentials, options) if credentials else grpc.insecure_channel(address, options)
    )
    with opened as channel:
        method = channel.unary_unary(f"/opentelemetry.proto.collector.{service}/Export")
        return method(body, timeout=20, **call)
