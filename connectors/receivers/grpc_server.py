"""The gRPC receiver: RingCX opens a stream for a dialog, shows its token in `authorization`, and talks until it ends.

Messages are read as bytes and parsed here, so that a malformed one ends no call.
"""

import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, TypeAlias

import grpc
from google.protobuf.empty_pb2 import Empty

from connectors.receivers.door import Door, bare
from connectors.receivers.events import Cause, HungUp
from connectors.receivers.grpc_messages import GrpcDialect
from connectors.receivers.hearing import Hearing
from connectors.receivers.streaming_pb2 import DESCRIPTOR

logging.getLogger("grpc._cython.cygrpc").setLevel(logging.CRITICAL)  # it prints tracebacks of calls that we abort

SERVICE = DESCRIPTOR.services_by_name["Streaming"].full_name
DONE: bytes = Empty().SerializeToString()
STATUS = {
    Cause.NO_TOKEN: grpc.StatusCode.UNAUTHENTICATED,
    Cause.WRONG_TOKEN: grpc.StatusCode.UNAUTHENTICATED,
    Cause.FULL: grpc.StatusCode.RESOURCE_EXHAUSTED,
    Cause.STOPPING: grpc.StatusCode.UNAVAILABLE,
    Cause.IDLE: grpc.StatusCode.DEADLINE_EXCEEDED,
    Cause.TOO_LONG: grpc.StatusCode.DEADLINE_EXCEEDED,
    Cause.OVERSIZED: grpc.StatusCode.RESOURCE_EXHAUSTED,
    Cause.TOO_MANY_SEGMENTS: grpc.StatusCode.RESOURCE_EXHAUSTED,
}  # any other: INVALID_ARGUMENT

Context: TypeAlias = Any  # grpc.aio.ServicerContext; the library has no types


@dataclass(frozen=True, slots=True)
class KeyPair:
    """A certificate chain and its key, PEM."""

    certificate: bytes
    key: bytes

    def __repr__(self) -> str:
        return "KeyPair(...)"


class GrpcReceiver:
    """What answers a stream."""

    def __init__(self, door: Door) -> None:
        self._door = door

    async def stream(self, requests: AsyncIterator[bytes], context: Context) -> bytes:
        """One call, from its metadata to its end."""
        shown = dict(context.invocation_metadata() or ()).get("authorization", "")
        token = shown.decode("latin-1") if isinstance(shown, bytes) else shown
        if cause := await self._door.knock("grpc", bare(token)):
            await context.abort(STATUS[cause], cause.value)
        hearing = Hearing("grpc", GrpcDialect(), self._door.intake, self._door.bounds)
        try:
            with self._door.entered("grpc"):
                await hearing.hear(requests)
        except HungUp as error:
            await context.abort(STATUS.get(error.cause, grpc.StatusCode.INVALID_ARGUMENT), error.cause.value)
        return DONE


@asynccontextmanager
async def grpc_receiver(door: Door, host: str, port: int, keys: KeyPair | None) -> AsyncIterator[int]:
    """The port of a gRPC receiver, which listens for as long as the block lasts; then it cuts whoever still talks.

    Without keys it speaks plain HTTP/2. Raises OSError where the port is taken.
    """
    bounds = door.bounds
    server = grpc.aio.server(
        options=[
            ("grpc.max_receive_message_length", 4 * bounds.message_bytes),  # its refusals look like the end of a stream
            ("grpc.max_metadata_size", 16384),
            ("grpc.max_concurrent_streams", bounds.calls),  # of one connection
            ("grpc.so_reuseport", 0),  # a second receiver on this port is a mistake
            ("grpc.keepalive_time_ms", int(bounds.idle_s * 1000 / 3)),
            ("grpc.keepalive_timeout_ms", int(bounds.idle_s * 1000 / 3)),
            ("grpc.http2.min_ping_interval_without_data_ms", 1000),
        ],
        compression=grpc.Compression.NoCompression,
    )
    handler = grpc.stream_unary_rpc_method_handler(GrpcReceiver(door).stream)
    server.add_generic_rpc_handlers([grpc.method_handlers_generic_handler(SERVICE, {"Stream": handler})])
    address = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
    try:
        if keys is None:
            bound: int = server.add_insecure_port(address)
        else:
            bound = server.add_secure_port(address, grpc.ssl_server_credentials([(keys.key, keys.certificate)]))
    except RuntimeError:
        raise OSError(f"cannot listen on {address} for gRPC: is another receiver on this port?") from None
    await server.start()
    try:
        yield bound
    finally:
        await server.stop(None)
