"""The judge: what was asked of the sandbox, whether a client kept the rules, and what a complete load must hold.

The *log* has one record per request to the platform; the judge's own `/_sandbox/*` endpoints are not in it.
"""

from collections import Counter, defaultdict, deque
from collections.abc import Iterable, Iterator

import msgspec

from connectors.sandbox.faults import Faults
from connectors.sandbox.junk import has_malformed_phrase
from connectors.sandbox.life import Life, State
from connectors.sandbox.model import Phrase, Segment, SubAccount
from connectors.sandbox.quota import Quotas, Rate


class LogRecord(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """One request as it arrived and what became of it; `status` is None when the socket was closed without an answer.

    `fault` names the transient or scripted fault, empty for none. `group` has the sub-account for metadata:
    `metadata:99999999`.
    """

    number: int
    at: float
    method: str
    operation: str
    group: str
    sub_account_id: str | None
    dialog_id: str | None
    segment_id: str | None
    status: int | None
    was_inside_penalty: bool
    fault: str


class TruthRow(msgspec.Struct, frozen=True, rename="camel"):
    """What a complete load must hold of one segment; phrases only in the state `stored`, junk not included.

    Whether the recording can be had already is not said: that takes minutes longer than the metadata.
    """

    sub_account_id: str
    dialog_id: str
    segment_id: str
    segment_type: str
    channel_class: str
    start_ms: int
    end_ms: int
    has_transcript: bool
    has_recording: bool
    state: State
    malformed_phrases: int
    phrases: tuple[Phrase, ...]


def accepted_max(records: Iterable[LogRecord], rate: Rate) -> int:
    """The largest number of accepted (not 429) requests in any half-open window `[t, t + seconds)`."""
    window: deque[float] = deque()
    most = 0
    for record in records:
        if record.status == 429:
            continue
        while window and window[0] + rate.seconds <= record.at:
            window.popleft()
        window.append(record.at)
        most = max(most, len(window))
    return most


def summary(log: Iterable[LogRecord], quotas: Quotas) -> dict[str, object]:
    """The log in figures, per group; `accepted_max_in_window` has one figure for each rate of the group's limit."""
    groups: defaultdict[str, list[LogRecord]] = defaultdict(list)
    for record in log:
        groups[record.group].append(record)
    everything = [record for records in groups.values() for record in records]
    served = {name: _served(everything, name) for name in ("transcript", "recording", "auto-summary", "agent-summary")}
    return {
        "requests": {group: _by_status(records) for group, records in groups.items()},
        "accepted_max_in_window": {
            group: {f"{rate.requests}/{rate.seconds:g}": accepted_max(records, rate) for rate in quotas.rates(group)}
            for group, records in groups.items()
        },
        "penalty_requests": sum(record.was_inside_penalty for record in everything),
        "refused_requests": sum(record.status == 429 for record in everything),
        "faults": dict(Counter(record.fault for record in everything if record.fault)),
        "transcripts_served": len(served["transcript"]),
        "transcripts_served_more_than_once": _repeated(served["transcript"]),
        "recordings_served": len(served["recording"]),
        "recordings_served_more_than_once": _repeated(served["recording"]),
        "summaries_served": len(served["auto-summary"]) + len(served["agent-summary"]),
        "summaries_served_more_than_once": _repeated(served["auto-summary"]) + _repeated(served["agent-summary"]),
        "operations": dict(Counter(record.operation for record in everything)),
    }


def _served(records: Iterable[LogRecord], operation: str) -> Counter[tuple[str | None, str | None, str | None]]:
    """How often each segment was answered rightly."""
    return Counter(
        (record.sub_account_id, record.dialog_id, record.segment_id)
        for record in records
        if record.operation == operation and record.status == 200 and not record.fault
    )


def _repeated(served: Counter[tuple[str | None, str | None, str | None]]) -> int:
    return sum(times > 1 for times in served.values())


def _by_status(records: list[LogRecord]) -> dict[str, int]:
    return dict(Counter("no answer" if record.status is None else str(record.status) for record in records))


def truth(life: Life, subs: Iterable[SubAccount], faults: Faults, now_ms: int, *, final: bool) -> Iterator[TruthRow]:
    """One row per segment, by sub-account and end: as visible at `now_ms`, or (`final`) how what has ended ends up.

    Denied sub-accounts are left out: nobody can load them.
    """
    for sub in subs:
        if sub.denied:
            continue
        for segment in life.everything(sub.sub_account_id, now_ms + 1):
            if final or life.seen(segment, now_ms) is not None:
                yield _truth_row(life, segment, faults, None if final else now_ms)


def _truth_row(life: Life, segment: Segment, faults: Faults, now_ms: int | None) -> TruthRow:
    state = life.state(segment, now_ms)
    return TruthRow(
        sub_account_id=segment.sub_account_id,
        dialog_id=segment.dialog_id,
        segment_id=segment.segment_id,
        segment_type=segment.segment_type,
        channel_class=segment.channel_class,
        start_ms=segment.start_ms,
        end_ms=segment.end_ms if now_ms is None else segment.end_as_of(now_ms),
        has_transcript=state != "absent",
        has_recording=segment.has_recording,
        state=state,
        malformed_phrases=int(state == "stored" and has_malformed_phrase(faults, segment)),
        phrases=segment.phrases if state == "stored" else (),
    )
