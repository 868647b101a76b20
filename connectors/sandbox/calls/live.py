"""All live calls of a sandbox, and an account that shows them, once they are over, among the segments of another."""

from collections.abc import Iterator
from threading import Lock

from connectors.sandbox.background import Background
from connectors.sandbox.callers.dialing import dial
from connectors.sandbox.callers.line import Line, Outcome
from connectors.sandbox.calls.ongoing import LiveCall, Ongoing, Stream
from connectors.sandbox.clock import Clock
from connectors.sandbox.config import SandboxConfig
from connectors.sandbox.media.profiles import Profiles
from connectors.sandbox.model import AccountSource, Key, Segment, SubAccount
from connectors.sandbox.sound.g711 import decode, mixed
from connectors.sandbox.sound.library import Said, Sound


class LiveCalls:
    """An `AccountSource` of what `source` has and of calls that are over; calls begin and end from any thread."""

    def __init__(self, source: AccountSource, clock: Clock, config: SandboxConfig, background: Background) -> None:
        self.profiles = Profiles()
        self._source, self._clock, self._config, self._background = source, clock, config, background
        self._calls: dict[tuple[str, str], Ongoing] = {}
        self._lock = Lock()

    def now_ms(self) -> int:
        """The sandbox's time in epoch milliseconds."""
        return int(self._clock() * 1000)

    def begin(self, live: LiveCall) -> Ongoing:
        """A call that is live from now on. Raises ValueError for a dialog id that was used before."""
        key = live.sub_account_id, live.dialog_id
        account = self._config.rc_account_id, self._config.main_account_id
        with self._lock:
            if key in self._calls:
                raise ValueError(f"the dialog {live.dialog_id} has been used before")
            ongoing = self._calls[key] = Ongoing(live, self._clock, account, self._config.call_visible_s)
        self._stream_to_profile(ongoing)
        return ongoing

    def live(self, sub_account_id: str, dialog_id: str) -> Ongoing | None:
        """The live call with this dialog id."""
        ongoing = self._calls.get((sub_account_id, dialog_id))
        return ongoing if ongoing is not None and ongoing.is_live else None

    def all(self) -> list[Ongoing]:
        """Every call that ever began, in that order."""
        with self._lock:
            return list(self._calls.values())

    def is_running(self, sub_account_id: str, stream_id: str) -> bool:
        """Whether a stream with this id runs in any dialog of the sub-account."""
        return any(
            call.live.sub_account_id == sub_account_id and call.running(stream_id) is not None for call in self.all()
        )

    def stream(self, ongoing: Ongoing, stream: Stream, url: str, token: str) -> None:
        """Let a caller dial, on the loop that serves requests. Raises RuntimeError before the first request."""
        config = self._config
        line = Line(url=url, token=token, ca=config.caller_ca, pace=config.caller_pace)
        ongoing.streams.append(stream)
        self._background.begin(_call(ongoing, stream, line))

    def _stream_to_profile(self, ongoing: Ongoing) -> None:
        live = ongoing.live
        profile = self.profiles.find(live.sub_account_id, live.product_type, live.product_id)
        if profile and profile.streaming_url:
            stream = Stream(f"profile-{live.dialog_id}", None, ongoing.script(None), profile.streaming_url)
            self.stream(ongoing, stream, profile.streaming_url, profile.secret or "")

    # As an account

    @property
    def sub_accounts(self) -> tuple[SubAccount, ...]:
        """Those of the source."""
        return self._source.sub_accounts

    def segments(self, sub_account_id: str, start_ms: int, end_ms: int) -> Iterator[Segment]:
        """Segments that end in `[start_ms, end_ms)`, by end; see `AccountSource`."""
        own = [one for one in self._own(sub_account_id) if start_ms <= one.end_ms < end_ms]
        others = self._source.segments(sub_account_id, start_ms, end_ms)
        yield from sorted([*others, *own], key=lambda one: one.end_ms) if own else others

    def find(self, key: Key) -> Segment | None:
        """The one segment with this identity."""
        ongoing = self._calls.get((key.sub_account_id, key.dialog_id))
        if ongoing is None:
            return self._source.find(key)
        return next((one for one in ongoing.segments() if one.key == key), None)

    def everything(self, sub_account_id: str, until_ms: int) -> Iterator[Segment]:
        """All segments that end before `until_ms`; those of live calls come last."""
        yield from self._source.everything(sub_account_id, until_ms)
        yield from (one for one in self._own(sub_account_id) if one.end_ms < until_ms)

    def with_segment_id(self, sub_account_id: str, segment_id: str) -> Iterator[Segment]:
        """The segments with this id, of whatever dialogs."""
        yield from self._source.with_segment_id(sub_account_id, segment_id)
        yield from (one for one in self._own(sub_account_id) if one.segment_id == segment_id)

    def sound(self, key: Key) -> Sound | None:
        """What is heard in a segment of a call that was live: its own participant, and everybody else."""
        ongoing = self._calls.get((key.sub_account_id, key.dialog_id))
        if ongoing is None:
            return None
        speakers = ongoing.live.speakers
        voices = [bytes(16 * who.starts_ms) + decode(who.audio) for who in speakers]
        own = [voice for who, voice in zip(speakers, voices, strict=True) if who.segment_id == key.segment_id]
        rest = [voice for who, voice in zip(speakers, voices, strict=True) if who.segment_id != key.segment_id]
        lines = tuple(Said(*line) for line in ongoing.live.lines)
        return Sound("/".join(key), mixed(own), lines, mixed(rest))

    def _own(self, sub_account_id: str) -> list[Segment]:
        return [one for call in self.all() if call.live.sub_account_id == sub_account_id for one in call.segments()]


async def _call(ongoing: Ongoing, stream: Stream, line: Line) -> None:
    """One caller's whole call; hangs up when all was played."""
    outcome = Outcome(accepted=False, status="cancelled", error="the sandbox ended")
    try:
        outcome = await dial(stream.script, line, lambda: stream.is_stopping or not ongoing.is_live)
    except (ValueError, OSError) as error:  # no address, no certificates
        outcome = Outcome(accepted=False, status="unreachable", error=type(error).__name__)
    finally:
        was_played = outcome.accepted and not (outcome.stopped or outcome.error)
        others = [other for other in ongoing.streams if other is not stream and not other.future.done()]
        if ongoing.live.hangs_up and was_played and not others:
            ongoing.end()
        stream.future.set_result(outcome)
