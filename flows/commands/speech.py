"""The command of speech to text."""

import asyncio
from datetime import UTC, datetime

from flows.calls.speech.to_hear import Wish
from flows.calls.speech.transcribing import Transcribed
from flows.commands.app import DONE, FAILED, USAGE, app, complain, ready_settings, utc
from flows.runtime import Runtime, open_runtime
from flows.windows import Window


@app.command
def transcribe(
    *,
    engine: str = "",
    start: datetime | None = None,
    end: datetime | None = None,
    sub_account: tuple[str, ...] = (),
    minutes: float | None = None,
    max_minutes: float | None = None,
    analyze: bool = False,
    dry_run: bool = False,
) -> int:
    """Put audio without a transcript into words, newest first, under a budget. Run it again to go on.

    What RingCX has a transcript of, now or soon, is left out, and nothing is heard twice by the same engine.

    Parameters
    ----------
    engine
        pocketsphinx (on this machine, no account), google (needs the extra `google`) or ringcentral-ai (hears the
        recordings at RingCX). Absent: RINGCX_TRANSCRIBE_ENGINE.
    start
        Only what ended from then on, ISO 8601; without a zone, UTC.
    end
        Only what ended before it.
    sub_account
        Only this sub-account; may be given several times.
    minutes
        Budget, in minutes of audio; the last segment may go beyond it. Absent: RINGCX_TRANSCRIBE_MINUTES.
    max_minutes
        Start nothing new after so many minutes of time.
    analyze
        Also ask RingCentral's AI for insights (ringcentral-ai only), into the table `insights`.
    dry_run
        Only say what there is to hear.
    """
    from flows.calls.speech import transcribing_show as show
    from flows.calls.speech.offline import without_account

    span = Window(utc(start or datetime(1970, 1, 1, tzinfo=UTC)), utc(end or datetime(9999, 1, 1, tzinfo=UTC)))
    if span.start >= span.end:
        return complain("--start must be before --end", USAGE)
    wish = Wish(engine=engine, span=span, only=sub_account, minutes=minutes, max_minutes=max_minutes, analyze=analyze)
    settings = without_account(ready_settings(), engine)

    async def run() -> Transcribed | None:
        async with open_runtime(settings) as runtime:
            return await (_foretold(runtime, wish) if dry_run else _heard(runtime, wish))

    done = asyncio.run(run())
    if done is not None:
        show.transcribed(done)
    return DONE if done is None or done.ok else FAILED


async def _foretold(runtime: Runtime, wish: Wish) -> None:
    from flows.calls.speech import to_hear
    from flows.calls.speech import transcribing_show as show

    runtime.lake.create()
    engine = to_hear.engine_of(runtime, wish)
    found = to_hear.waiting(runtime, wish, engine)
    show.foretold(engine, found, to_hear.budgeted(found, to_hear.budget_ms(runtime, wish)))


async def _heard(runtime: Runtime, wish: Wish) -> Transcribed:
    from flows.calls.speech import transcribing
    from flows.calls.speech import transcribing_show as show

    with show.shown() as on_progress:
        return await transcribing.transcribe(runtime, wish, on_progress=on_progress)
