"""Where a stream's audio goes: which addresses may be used, and what they carry. Pure."""

from ipaddress import ip_address
from urllib.parse import urlencode, urlsplit, urlunsplit

from connectors.ringcx.media_control import Address
from flows.settings import SettingsError

WEBSOCKET, GRPC = ("wss", "ws"), ("grpcs", "https", "grpc", "http")
PLAIN = ("ws", "grpc", "http")  # only on this machine


def usable(url: str) -> str:
    """The address, if audio may go there: encrypted, except to this very machine."""
    if not url:
        raise SettingsError("RINGCX_RECEIVE_URL: set where the audio is to go (or --url), such as wss://host:8443")
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname, parts.port
    except ValueError as error:
        raise SettingsError(f"RINGCX_RECEIVE_URL, --url: not an address ({error})") from None
    if parts.scheme not in (*WEBSOCKET, *GRPC) or not host:
        raise SettingsError("RINGCX_RECEIVE_URL, --url: must be wss://host... or grpcs://host:port")
    if parts.scheme in PLAIN and not _is_loopback(host):
        raise SettingsError(f"RINGCX_RECEIVE_URL, --url: {parts.scheme}:// sends calls in the clear; use wss or grpcs")
    return url


def _is_loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def with_ids(url: str, address: Address) -> str:
    """A WebSocket's address with the ids that it is about: the receiver is told RingCX's own, which are others."""
    parts = urlsplit(url)
    if parts.scheme not in WEBSOCKET:
        return url
    ids = {"sub_account_id": address.sub_account_id, "dialog_id": address.dialog_id, "segment_id": address.segment_id}
    query = urlencode({name: value for name, value in ids.items() if value})
    return urlunsplit(parts._replace(query="&".join(filter(None, (parts.query, query)))))


def bare(url: str) -> str:
    """Without what only the receiver is to see: a query, a password."""
    parts = urlsplit(url)
    return urlunsplit((parts.scheme, parts.netloc.rpartition("@")[2], parts.path, "", ""))
