"""A certificate to develop with: self-signed, for this machine and the names that it is called by."""

import ipaddress
import os
from datetime import datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

ALWAYS = ("localhost", "127.0.0.1")


def make(
    certificate: Path, key: Path, names: tuple[str, ...], now: datetime, days: int, *, force: bool = False
) -> None:
    """Write a certificate for these host names and addresses, and its key, which only this user may read.

    Raises FileExistsError where one of them is already, unless `force`; OSError.
    """
    for path in (certificate, key):
        if path.exists() and not force:
            raise FileExistsError(17, "is there already; --force replaces it, and its key", str(path))
    private = ec.generate_private_key(ec.SECP256R1())
    signed = _signed(private, tuple(dict.fromkeys([*names, *ALWAYS])), now, days)
    secret = private.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    _put(key, secret, 0o600)
    _put(certificate, signed.public_bytes(serialization.Encoding.PEM), 0o644)


def _signed(private: ec.EllipticCurvePrivateKey, names: tuple[str, ...], now: datetime, days: int) -> x509.Certificate:
    who = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "ringcx-etl receiver, development only")])
    usage = x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH])
    return (
        x509.CertificateBuilder()
        .subject_name(who)
        .issuer_name(who)
        .public_key(private.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(hours=1))  # the other machine's clock may be behind
        .not_valid_after(now + timedelta(days=days))
        .add_extension(x509.SubjectAlternativeName([_general(name) for name in names]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)  # so that it can be trusted itself
        .add_extension(usage, critical=False)
        .sign(private, hashes.SHA256())
    )


def _general(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        return x509.DNSName(name)


def _put(path: Path, content: bytes, mode: int) -> None:
    """In one step, never readable to more people than it is to be."""
    fresh = path.with_name(f".{path.name}.new")
    fresh.unlink(missing_ok=True)
    with os.fdopen(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode), "wb") as file:
        file.write(content)
    fresh.replace(path)
