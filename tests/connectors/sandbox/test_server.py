"""The sandbox over real sockets: odd ids on the wire, connections that break, starting and stopping."""

import signal
import subprocess
import sys
from collections.abc import Iterator
from urllib.parse import quote

import httpx
import pytest

from connectors.sandbox import (
    Fault,
    FixedAccount,
    ManualClock,
    SandboxConfig,
    SandboxServer,
    serve_forever,
    simple_segment,
)

TEN = 1_788_256_800.0
ROOT = "/voice/api/cx/integration/v1/accounts/980634004/sub-accounts/99999999"
TRANSCRIPT = f"{ROOT}/transcripts/dialogs/d/segments/s"
ODD = ["a/b", "..", ".", "a?b#c", "50%/%2F", "'\"\\", "ü 中 🙂"]
SEGMENTS = [simple_segment(dialog, f"s {dialog}", TEN, lines=[("agent", dialog)]) for dialog in ODD]


@pytest.fixture(scope="module")
def server() -> Iterator[SandboxServer]:
    """One sandbox for all the tests here."""
    config = SandboxConfig(account=FixedAccount([simple_segment("d", "s", TEN), *SEGMENTS]))
    with SandboxServer(config, clock=ManualClock(TEN + 3600)) as running:
        yield running


@pytest.fixture
def client(server: SandboxServer) -> Iterator[httpx.Client]:
    """A client with the static token."""
    headers = {"Authorization": "Bearer sandbox-token"}
    with httpx.Client(base_url=server.base_url, headers=headers, timeout=5) as opened:
        yield opened


@pytest.mark.parametrize("dialog", ODD)
def test_odd_ids_survive_the_wire(client: httpx.Client, dialog: str) -> None:
    """A server that decodes the path before splitting it would not find these; dots are encoded lest httpx walks up."""
    pieces = (quote(piece, safe="").replace(".", "%2E") for piece in (dialog, f"s {dialog}"))
    answer = client.get(f"{ROOT}/transcripts/dialogs/{next(pieces)}/segments/{next(pieces)}")
    assert answer.json()["transcript"][0]["message"] == dialog


@pytest.mark.parametrize(
    ("fault", "error"),
    [
        (Fault(reset=True), httpx.ReadError),
        (Fault(cut_headers=True), httpx.RemoteProtocolError),
        (Fault(truncate=True), httpx.RemoteProtocolError),
        (Fault(delay_s=0.2), httpx.ReadTimeout),
    ],
)
def test_a_broken_answer_is_a_transport_error_and_the_next_one_is_right(
    server: SandboxServer, client: httpx.Client, fault: Fault, error: type[Exception]
) -> None:
    """What a client must survive: a socket closed before, in the headers of or in the body of an answer; silence."""
    server.sandbox.script("transcripts", [fault])
    with pytest.raises(error):
        client.get(TRANSCRIPT, timeout=0.1)
    assert client.get(TRANSCRIPT).status_code == 200


def test_a_truncated_answer_has_begun_with_the_right_one(server: SandboxServer, client: httpx.Client) -> None:
    """The status and the length are those of the whole body; half of it comes."""
    whole = client.get(TRANSCRIPT).content
    server.sandbox.script("transcripts", [Fault(truncate=True)])
    with client.stream("GET", TRANSCRIPT) as answer:
        assert (answer.status_code, answer.headers["content-length"]) == (200, str(len(whole)))
        parts = answer.iter_bytes()
        assert next(parts) == whole[: len(whole) // 2]
        with pytest.raises(httpx.RemoteProtocolError):
            next(parts)


def test_the_judge_answers_over_the_same_socket(client: httpx.Client) -> None:
    """A benchmark in another process can ask for the log, the figures and the truth."""
    client.get(TRANSCRIPT)
    assert client.get("/_sandbox/log").json()[-1]["dialog_id"] == "d"
    assert client.get("/_sandbox/summary").json()["transcripts_served"] >= 1
    assert len(client.get("/_sandbox/truth").text.splitlines()) == len(SEGMENTS) + 1


def test_a_server_that_has_stopped_refuses_connections() -> None:
    """Leaving the context frees the port."""
    with SandboxServer() as server:
        assert httpx.get(server.base_url).status_code == 404
    with pytest.raises(httpx.ConnectError):
        httpx.get(server.base_url)


def test_a_port_that_is_taken_is_an_oserror(server: SandboxServer) -> None:
    """The command line turns it into a sentence."""
    with pytest.raises(OSError, match="in use"):
        serve_forever(port=int(server.base_url.rpartition(":")[2]), ready=lambda _: None)


def test_serving_in_the_foreground_says_where_and_ends_with_ctrl_c() -> None:
    """The command line's own way: nothing on stderr, exit code 0."""
    program = "from connectors.sandbox import serve_forever; serve_forever(ready=lambda url: print(url, flush=True))"
    started = subprocess.Popen(
        [sys.executable, "-c", program], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert started.stdout is not None
    url = started.stdout.readline().strip()
    assert httpx.get(f"{url}/_sandbox/summary").status_code == 200
    started.send_signal(signal.SIGINT)
    rest, errors = started.communicate(timeout=10)
    assert (rest, errors, started.returncode) == ("", "", 0)
