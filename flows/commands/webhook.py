"""The command that receives the answers of RingCentral's AI."""

import asyncio
import signal
import time
from datetime import UTC, datetime
from uuid import uuid4

from flows.commands.app import DONE, app, ready_settings
from flows.runtime import open_lake
from flows.settings import Settings


@app.command
def webhook(*, host: str = "127.0.0.1") -> int:
    """Receive the answers of RingCentral's AI as they come, and store them. Ends with Ctrl-C or SIGTERM.

    RINGCX_WEBHOOK_URL is its public address, whose TLS is a proxy's that hands on to RINGCX_WEBHOOK_PORT. While it
    runs, `transcribe` leaves receiving to it; without it, `transcribe` receives as long as it runs itself.

    Parameters
    ----------
    host
        Address to listen on, in the clear.
    """
    asyncio.run(_serve(ready_settings(), host))
    return DONE


async def _serve(settings: Settings, host: str) -> None:
    from flows.calls.speech.webhook import Webhook, public_url, serving

    public_url(settings)
    told = asyncio.Event()
    for one in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(one, told.set)
    with open_lake(settings) as lake:
        lake.create()
        receiver = Webhook(lake, lambda: datetime.fromtimestamp(time.time(), UTC), str(uuid4()))
        async with serving(receiver, settings.ringcx_webhook_port, host) as port:
            print(f"answers are received at http://{host}:{port}/ringcx/...; Ctrl-C ends it", flush=True)
            await told.wait()
