"""Receivers as small as can be, on real sockets with real TLS, and the certificate that they show."""

import asyncio
import ipaddress
import json
import logging
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from http import HTTPStatus
from pathlib import Path
from typing import Any

import grpc
import grpc.aio
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from websockets.asyncio.server import ServerConnection, serve
from websockets.exceptions import ConnectionClosed
from websockets.http11 import Request, Response

from connectors.sandbox.callers.protocol import PACKAGE, stream_event

NO_LOG = logging.Logger("ears", logging.CRITICAL + 1)  # noqa: LOG001 - what an ear logs is not the sandbox's affair


def make_certificate(folder: Path) -> Path:
    """A self-signed certificate for this machine, `cert.pem`, with its key beside it."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    names = [x509.DNSName("localhost"), x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName(names), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    plain = serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    (folder / "key.pem").write_bytes(key.private_bytes(serialization.Encoding.PEM, *plain))
    path = folder / "cert.pem"
    path.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    return path


class Ear:
    """What one receiver heard: handshakes (address, token), messages in their order, and how each connection ended.

    `refusals` are statuses for the next handshakes; `hang_up_after` closes a connection after so many messages.
    """

    def __init__(self, refusals: list[int] | None = None, hang_up_after: int | None = None) -> None:
        self.url = ""
        self.handshakes: list[tuple[str, str]] = []
        self.messages: list[Any] = []
        self.ends: list[str] = []
        self.refusals = refusals or []
        self.hang_up_after = hang_up_after
        self.is_called = asyncio.Event()

    def sequence(self, perspective: str) -> list[int]:
        """The sequence ids of one perspective, as they came."""
        return [int(one["sequenceId"]) for one in self.messages if one.get("perspective") == perspective]


@asynccontextmanager
async def listening_wss(ear: Ear, certificate: Path) -> AsyncIterator[Ear]:
    """An ear on a WebSocket."""
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(certificate, certificate.with_name("key.pem"))

    def handshake(connection: ServerConnection, request: Request) -> Response | None:
        ear.handshakes.append((request.path, request.headers.get("Authorization", "")))
        return connection.respond(HTTPStatus(ear.refusals.pop(0)), "no\n") if ear.refusals else None

    async def hear(connection: ServerConnection) -> None:
        ear.is_called.set()
        try:
            async for message in connection:
                ear.messages.append(_parsed(message))
                if len(ear.messages) == ear.hang_up_after:
                    await connection.close(1009)
            ear.ends.append("closed")
        except ConnectionClosed:
            ear.ends.append("dropped")

    async with serve(
        hear, "127.0.0.1", 0, ssl=tls, process_request=handshake, close_timeout=1, max_size=None, logger=NO_LOG
    ) as server:
        ear.url = f"wss://127.0.0.1:{server.sockets[0].getsockname()[1]}/calls?dialog_id=d"
        yield ear


def _parsed(message: str | bytes) -> Any:
    try:
        return json.loads(message)
    except ValueError:
        return {"malformed": message}


@asynccontextmanager
async def listening_grpc(ear: Ear, certificate: Path, token: str = "") -> AsyncIterator[Ear]:
    """An ear on gRPC, which wants a token if there is one."""

    async def hear(events: AsyncIterator[bytes], context: grpc.aio.ServicerContext) -> bytes:
        shown = dict(context.invocation_metadata()).get("authorization", "")
        ear.handshakes.append(("", shown))
        if token and shown != token:
            await context.abort(grpc.StatusCode.UNAUTHENTICATED, "who are you?")
        ear.is_called.set()
        try:
            async for event in events:
                ear.messages.append(stream_event().FromString(event))
        except BaseException:
            ear.ends.append("dropped")
            raise
        ear.ends.append("closed")
        return b""

    server = grpc.aio.server()
    handler = grpc.stream_unary_rpc_method_handler(hear)
    server.add_generic_rpc_handlers(
        (grpc.method_handlers_generic_handler(f"{PACKAGE}.Streaming", {"Stream": handler}),)
    )
    pair = certificate.with_name("key.pem").read_bytes(), certificate.read_bytes()
    ear.url = f"grpcs://127.0.0.1:{server.add_secure_port('127.0.0.1:0', grpc.ssl_server_credentials([pair]))}"
    await server.start()
    try:
        yield ear
    finally:
        await server.stop(1)
