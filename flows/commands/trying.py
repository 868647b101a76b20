"""Commands that need no account: the sandbox, and the main job on it."""

import os
from pathlib import Path

from flows.commands.app import app


@app.command
def sandbox(  # noqa: PLR0913 - a command's options
    *,
    port: int = 8100,
    corpus: Path | None = None,
    days: float = 7.0,
    dialogs_per_hour: float = 60.0,
    transcript_limits: str = "120/60",
    metadata_limits: str = "3/60,9/900",
    penalty_seconds: float = 60.0,
    audio: Path | None = None,
    ca: Path | None = None,
    faults: bool = False,
) -> int:
    """Serve a RingCX of its own on loopback: generated conversations with a live tail, or a corpus. Ends with Ctrl-C.

    Parameters
    ----------
    port
        Port on 127.0.0.1; 0: any free one.
    corpus
        A corpus (.jsonl.gz) to serve instead of generated conversations, laid over the days up to an hour ago.
    days
        How far back its history goes.
    dialogs_per_hour
        Generated dialogs per sub-account.
    transcript_limits
        Transcript requests/seconds that it allows.
    metadata_limits
        Metadata requests/seconds that it allows, per sub-account.
    penalty_seconds
        How long it refuses everything after a limit was passed.
    audio
        A folder of WAV files that recordings and live calls sound like, instead of tones.
    ca
        Certificates to trust where it streams live calls to: those of `ringcx-etl certificate`, say.
    faults
        With every scripted fault on: late metadata, 404s for a while, 429s, 5xx, resets, cut and malformed answers.
    """
    os.environ.setdefault("GRPC_VERBOSITY", "NONE")  # its core prints a line for each receiver that ends under a call
    from connectors.sandbox import SandboxConfig
    from connectors.sandbox.faults import Faults
    from flows import sandboxes

    config = SandboxConfig(
        limits={"transcripts": transcript_limits, "metadata": metadata_limits},
        penalty_seconds=penalty_seconds,
        audio=audio,
        caller_ca=ca,
        faults=sandboxes.EVERY_FAULT if faults else Faults(),
    )
    return sandboxes.run(config, port, corpus, days, dialogs_per_hour)


@app.command
def demo(*, calls: bool = False, audio: Path | None = None) -> int:
    """Run the main job on a sandbox with the platform's real limits, and look at what it loaded.

    Parameters
    ----------
    calls
        Instead, the story of three calls: streamed live over gRPC and WSS, recorded, put into words, read.
    audio
        The voice of these calls, a WAV file. Absent: tones, in which nobody hears a word.
    """
    if calls:
        os.environ.setdefault("GRPC_VERBOSITY", "NONE")
        from flows.calls import demonstration as story

        return story.run(Path(".demo") / "calls", audio)
    from flows import demonstration

    return demonstration.run()
