"""A RingCX and RingCentral platform on loopback: for the demo, for tests, and for users without an account.

Faithful to what is documented (`ringcx-api.md` and RingCentral's OpenAPI file), traps included, and shares
no code with the client, so that both cannot share one misreading. It keeps everything in memory and knows no table and
no flow.

    sound/    what is heard and said: tones, or a folder of WAV files
    calls/    live calls, and media control, which starts and stops streams of them
    callers/  what dials a receiver, and what goes wrong on the way; usable without the rest
    media/    streaming profiles, recordings, summaries
    ai/       speech to text and analysis, which call webhooks

    with SandboxServer(SandboxConfig()) as server:
        ...  # RINGCENTRAL_BASE_URL and RINGCX_BASE_URL are both server.base_url
"""

from connectors.sandbox.account import GeneratedAccount, generate_account
from connectors.sandbox.ai import JobTrouble
from connectors.sandbox.app import create_app
from connectors.sandbox.calls import LiveCall, two_voices
from connectors.sandbox.clock import ManualClock
from connectors.sandbox.config import SandboxConfig
from connectors.sandbox.faults import Fault, Faults
from connectors.sandbox.fixed import FixedAccount, simple_segment
from connectors.sandbox.judge import LogRecord, TruthRow
from connectors.sandbox.model import Phrase, Segment, SubAccount
from connectors.sandbox.server import SandboxServer, serve_forever
from connectors.sandbox.state import Sandbox

__all__ = [
    "Fault",
    "Faults",
    "FixedAccount",
    "GeneratedAccount",
    "JobTrouble",
    "LiveCall",
    "LogRecord",
    "ManualClock",
    "Phrase",
    "Sandbox",
    "SandboxConfig",
    "SandboxServer",
    "Segment",
    "SubAccount",
    "TruthRow",
    "create_app",
    "generate_account",
    "serve_forever",
    "simple_segment",
    "two_voices",
]
