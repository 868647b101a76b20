"""Commands that hear live calls: the receiver, and a certificate to develop with."""

import asyncio
import os
import time
from datetime import UTC, datetime

from flows.commands.app import DONE, FAILED, app, ready_settings


@app.command
def receive(*, plain: bool = False, recover: bool = False) -> int:
    """Receive the calls that RingCX streams, over WSS and gRPC at once: audio as WAV files, and rows of what was heard.

    Callers show one of RINGCX_RECEIVE_TOKENS, or the token that `stream start` made. What a killed receiver left is put
    in order first. Ends with Ctrl-C: calls may finish for RINGCX_RECEIVE_GRACE_SECONDS, a second Ctrl-C cuts them.

    Parameters
    ----------
    plain
        Without TLS, for tests on this machine; only on loopback.
    recover
        Only put in order what killed receivers left, and end.
    """
    os.environ.setdefault("GRPC_VERBOSITY", "NONE")  # its core prints a line for whoever knocks without TLS
    from flows.calls.receiving import receiver
    from flows.calls.receiving.show import ended, recovered, shown

    settings = ready_settings()
    if recover:
        recovered(receiver.recover_only(settings))
        return DONE
    with shown() as show:
        received = asyncio.run(receiver.receive(settings, show, plain=plain))
    ended(received)
    return FAILED if received.uncommitted else DONE


@app.command
def certificate(*hosts: str, days: int = 365, force: bool = False) -> int:
    """Make a self-signed certificate for the receiver, to develop with; RingCX wants one that is publicly trusted.

    It goes where RINGCX_RECEIVE_CERTIFICATE and RINGCX_RECEIVE_KEY say.

    Parameters
    ----------
    hosts
        Names and addresses that it is for, beside localhost and 127.0.0.1.
    days
        How long it is valid.
    force
        Replace the one that is there.
    """
    from flows.calls.receiving.certificate import make

    settings = ready_settings()
    paths = settings.ringcx_receive_certificate, settings.ringcx_receive_key
    make(*paths, hosts, datetime.fromtimestamp(time.time(), UTC), days, force=force)
    print(f"{paths[0]} and its key {paths[1]}")
    return DONE
