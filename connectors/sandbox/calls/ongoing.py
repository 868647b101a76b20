"""One live call, from its beginning to what is kept of it, and the streams of it. Safe to use from any thread."""

from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass, field

from connectors.sandbox.callers.dialing import transport_of
from connectors.sandbox.callers.line import Line, Outcome, Stopped
from connectors.sandbox.callers.script import CallScript, Speaker, Trouble
from connectors.sandbox.callers.truth import Heard, truth
from connectors.sandbox.clock import Clock
from connectors.sandbox.model import Segment
from connectors.sandbox.sound.library import Said

Dial = Callable[[CallScript, Line, Stopped, "Future[Outcome]"], None]


def two_voices(segment_id: str, agent: bytes, contact: bytes, contact_segment_id: str = "") -> tuple[Speaker, Speaker]:
    """An agent and a contact, in mu-law.

    On gRPC nothing but the segment id tells their chunks apart, so the contact has one of its own, which no metadata
    will list.
    """
    return (
        Speaker(segment_id=segment_id, kind="AGENT", audio=agent, participant_id="449001", name="Sandbox Agent"),
        Speaker(
            segment_id=contact_segment_id or f"{segment_id}-contact",
            kind="CONTACT",
            audio=contact,
            participant_id="contact",
        ),
    )


@dataclass(frozen=True, kw_only=True, repr=False)
class LiveCall:
    """What is known of a call when it begins.

    It is over `seconds` after its beginning, when `end()` is called, or (`hangs_up`) when its streams have played
    all of its audio, whichever is first. Its audio waits for each stream: it is played from the beginning. `lines` are
    what is said in it, as (role, text). A call of a product (`product_id`) that has a streaming profile is streamed
    there at once.
    """

    dialog_id: str
    speakers: tuple[Speaker, ...]
    sub_account_id: str = "99999999"
    seconds: float | None = None
    hangs_up: bool = True
    trouble: Trouble = field(default_factory=Trouble)
    lines: tuple[Said | tuple[str, str], ...] = ()
    product_type: str = "QUEUE"
    product_id: int | None = None
    ani: str = "+16504131116"
    dnis: str = "+16505551001"
    is_outbound: bool = False


class Stream:
    """One stream of a call: `outcome` is None while it runs. `url` is shown without its query."""

    def __init__(self, stream_id: str, segment_id: str | None, script: CallScript, url: str, token: str = "") -> None:
        self.stream_id = stream_id
        self.segment_id = segment_id
        self.script = script
        self.url = url.partition("?")[0]
        self.token = token
        self.transport = transport_of(url)
        self.future: Future[Outcome] = Future()
        self.is_stopping = False

    @property
    def outcome(self) -> Outcome | None:
        """What came of it."""
        return self.future.result() if self.future.done() else None

    def wait(self, timeout_s: float) -> Outcome:
        """What came of it, as soon as it is over; blocks the calling thread. Raises TimeoutError."""
        return self.future.result(timeout_s)

    def truth(self) -> dict[str, Heard]:
        """What the receiver must have heard, once it is over, by the name of the track."""
        outcome = self.wait(0)
        cut_short = outcome.stopped or bool(outcome.error)
        return truth(self.script, self.transport, outcome.played_ms if cut_short else None)


class Ongoing:
    """One call that has begun."""

    def __init__(self, live: LiveCall, clock: Clock, account: tuple[str, str], visible_s: float) -> None:
        self.live = live
        self.began = clock()
        self.streams: list[Stream] = []
        self._clock, self._account, self._visible_s = clock, account, visible_s
        self._ended: float | None = None

    @property
    def ended(self) -> float | None:
        """The moment at which it was over, in epoch seconds; None while it is live."""
        seconds = self.live.seconds
        if self._ended is None and seconds is not None and self._clock() >= self.began + seconds:
            self._ended = self.began + seconds
        return self._ended

    @property
    def is_live(self) -> bool:
        """Whether somebody still talks."""
        return self.ended is None

    def end(self) -> None:
        """Hang up: streams send their Stop messages and end."""
        if self.is_live:
            self._ended = self._clock()

    def running(self, stream_id: str) -> Stream | None:
        """The stream with this id that is not over."""
        found = (stream for stream in self.streams if stream.stream_id == stream_id)
        return next((stream for stream in found if not (stream.is_stopping or stream.future.done())), None)

    def script(self, segment_id: str | None, chunk_ms: int | None = None) -> CallScript:
        """What a receiver gets of it: all, or the participant of one segment and all contacts."""
        speakers = tuple(
            who for who in self.live.speakers if segment_id in (None, who.segment_id) or who.kind == "CONTACT"
        )
        own = next((who.segment_id for who in self.live.speakers if who.kind != "CONTACT"), self.live.dialog_id)
        rc_account_id, main_account_id = self._account
        return CallScript(
            dialog_id=self.live.dialog_id,
            segment_id=segment_id or own,
            speakers=speakers,
            sub_account_id=self.live.sub_account_id,
            main_account_id=main_account_id,
            rc_account_id=rc_account_id,
            ani=self.live.ani,
            dnis=self.live.dnis,
            product_type=self.live.product_type,
            product_id=self.live.product_id or 1234,
            is_outbound=self.live.is_outbound,
            began=self.began,
            chunk_ms=chunk_ms,
            trouble=self.live.trouble,
        )

    def segments(self) -> list[Segment]:
        """What metadata list of it once it is over: a segment for each participant who is not a contact."""
        if self.ended is None:
            return []
        legs = sorted((who for who in self.live.speakers if who.kind != "CONTACT"), key=lambda who: who.starts_ms)
        began_ms, ended_ms = round(self.began * 1000), round(self.ended * 1000)
        starts = [min(began_ms + who.starts_ms, ended_ms) for who in legs]
        return [
            self._segment(who, start_ms, end_ms)
            for who, start_ms, end_ms in zip(legs, starts, [*starts[1:], ended_ms], strict=True)
        ]

    def _segment(self, who: Speaker, start_ms: int, end_ms: int) -> Segment:
        live, ended_ms = self.live, round((self.ended or 0) * 1000)
        return Segment(
            sub_account_id=live.sub_account_id,
            dialog_id=live.dialog_id,
            segment_id=who.segment_id,
            interaction_id=f"i-{live.dialog_id}",
            dialog_start_ms=round(self.began * 1000),
            dialog_end_ms=ended_ms,
            start_ms=start_ms,
            end_ms=end_ms,
            visible_ms=ended_ms + round(self._visible_s * 1000),
            flag_ms=None,
            ready_ms=None,
            channel_endpoint_address=live.dnis,
            contact_endpoint_address=live.ani,
            dialog_origination="OUTBOUND" if live.is_outbound else "INBOUND",
            segment_type=who.kind,
            participant_id=who.participant_id or None,
            system_disposition="ANSWER",
            has_recording=True,
            events=(("REC_START", start_ms), ("REC_STOP", end_ms)),
        )
