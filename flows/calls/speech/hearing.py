"""What is to be heard: the audio of segments without a transcript, and which of it belongs to which segment. Pure.

A stream over gRPC gives each participant a segment of its own, and metadata lists the agents' only. So what a contact
says is heard with the agent's segment: with that of the agent who had joined last when it was said. A contact who is
listed, or who speaks to nobody that we hear, keeps the segment of its own.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import groupby, pairwise
from pathlib import Path

from connectors.speech import Heard, Track
from flows.outcomes import Key

OPEN = "open"
STEREO = ("agent", "contact")  # left, right
AGENTS, LIVE = ("agent", "bot"), ("grpc", "wss")
# Of several recordings of a segment the first kind that there is: live audio knows who speaks.
ORDER = (("grpc", "complete"), ("wss", "complete"), ("ringcx", "stored"), ("grpc", "cut"), ("wss", "cut"))
EVER = (datetime.min.replace(tzinfo=UTC), datetime.max.replace(tzinfo=UTC))


@dataclass(frozen=True, slots=True)
class Recording:
    """A row of `recordings`, whether metadata lists its segment, and whether that is not to be heard (any more)."""

    recording_id: str
    key: Key
    origin: str
    state: str
    path: str
    channels: int
    started_at: datetime
    duration_ms: int
    session_id: str = ""
    participant_type: str | None = None
    participant_id: str | None = None
    participant_name: str | None = None
    is_listed: bool = False
    is_taken: bool = False


@dataclass(frozen=True, slots=True)
class Voice:
    """One channel of a recording and who is heard in it; what begins outside of `during` is another segment's."""

    recording: Recording
    channel: int
    participant_type: str | None
    during: tuple[datetime, datetime] = EVER

    def track(self, top: Path, zero: datetime) -> Track:
        """Where the engine finds it."""
        late_ms = (self.recording.started_at - zero) // timedelta(milliseconds=1)
        return Track(top / self.recording.path, self.channel, late_ms)


@dataclass(frozen=True, slots=True)
class Candidate:
    """A segment that is to be heard, and the voices in it, agents first. `audio_ms`: how long that takes in all."""

    key: Key
    began_at: datetime
    ended_at: datetime
    audio_ms: int
    voices: tuple[Voice, ...] = ()

    @property
    def recording_ids(self) -> str:
        """Its recordings, as `jobs` names them."""
        return " ".join(dict.fromkeys(voice.recording.recording_id for voice in self.voices))


def candidates(recordings: Iterable[Recording]) -> list[Candidate]:
    """One for each segment with audio, newest first. What is still being recorded waits for its end."""
    homes: dict[Key, list[Voice]] = {}
    by_session = sorted(recordings, key=_session)
    for _, group in groupby(by_session, key=_session):
        session = list(group)
        if not any(one.state == OPEN for one in session):
            for key, voices in _homes(session).items():
                homes.setdefault(key, []).extend(voices)
    taken = {one.key for one in by_session if one.is_taken}
    found = [_candidate(key, voices) for key, voices in homes.items() if key not in taken]
    return sorted(found, key=lambda one: one.ended_at, reverse=True)


def heard_rows(candidate: Candidate, zero: datetime, heard: Sequence[Heard]) -> list[dict[str, object]]:
    """What was heard as rows of `utterances` but for key and source, `seq` from 0 by time."""
    rows: list[dict[str, object]] = []
    for one in heard:
        voice = candidate.voices[one.track]
        spoken_at = zero + timedelta(milliseconds=one.start_ms)
        if voice.during[0] <= spoken_at < voice.during[1]:
            who = voice.recording
            is_own = who.participant_type == voice.participant_type
            rows.append(
                {
                    "seq": len(rows),
                    "spoken_at": spoken_at,
                    "participant_id": who.participant_id if is_own else None,
                    "participant_name": who.participant_name if is_own else None,
                    "participant_type": voice.participant_type,
                    "message": one.text,
                    "extra": {"start_ms": one.start_ms, "end_ms": one.end_ms, "confidence": one.confidence},
                }
            )
    return rows


def _session(recording: Recording) -> tuple[str, ...]:
    """What tells the recordings of one stream from all others; a download is alone."""
    alone = "" if recording.origin in LIVE and recording.session_id else recording.recording_id
    return (*recording.key[:2], recording.origin, recording.session_id, alone)


def _homes(session: Sequence[Recording]) -> Mapping[Key, list[Voice]]:
    """Which segment each voice of a stream is heard with."""
    agents = sorted((one for one in session if one.participant_type in AGENTS), key=lambda one: one.started_at)
    homes: dict[Key, list[Voice]] = {}
    for one in session:
        is_guest = one.channels == 1 and one.participant_type not in AGENTS and one.origin in LIVE
        if is_guest and agents and not one.is_listed:
            for agent, during in zip(agents, _shifts(agents), strict=True):
                homes.setdefault(agent.key, []).append(Voice(one, 0, one.participant_type, during))
        elif one.channels == 2:
            homes.setdefault(one.key, []).extend(Voice(one, side, who) for side, who in enumerate(STEREO))
        else:
            homes.setdefault(one.key, []).append(Voice(one, 0, one.participant_type))
    return homes


def _shifts(agents: Sequence[Recording]) -> list[tuple[datetime, datetime]]:
    """From when to when each agent is the one who had joined last; the first from the very beginning."""
    return list(pairwise([EVER[0], *(agent.started_at for agent in agents[1:]), EVER[1]]))


def _candidate(key: Key, voices: Sequence[Voice]) -> Candidate:
    kinds = {(voice.recording.origin, voice.recording.state) for voice in voices}
    origin = next((origin for origin, state in ORDER if (origin, state) in kinds), "")
    kept = sorted(
        (voice for voice in voices if voice.recording.origin == origin),
        key=lambda voice: (voice.participant_type not in AGENTS, voice.recording.started_at, voice.recording.key),
    )
    began = min(voice.recording.started_at for voice in kept)
    ended = max(_end(voice.recording) for voice in kept)
    audio_ms = sum({voice.recording.recording_id: voice.recording.duration_ms for voice in kept}.values())
    return Candidate(key, began, ended, audio_ms, tuple(kept))


def _end(recording: Recording) -> datetime:
    return recording.started_at + timedelta(milliseconds=recording.duration_ms)
