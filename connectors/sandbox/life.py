"""What the platform shows of a segment at a given moment: the account's own delays, and the faults of life on top."""

from collections.abc import Iterator
from typing import Literal, NamedTuple

from msgspec.structs import replace

from connectors.sandbox.faults import Faults, draw
from connectors.sandbox.model import AccountSource, Key, Segment

State = Literal["absent", "pending", "stored", "empty", "rejected", "missing", "expired"]
DAY_MS = 86_400_000


class Seen(NamedTuple):
    """One metadata item as shown at some moment."""

    segment: Segment
    end_ms: int
    has_transcript: bool


class Life:
    """Answers what is visible when; the same question at the same moment always has the same answer.

    Asks `source` for more than it shows, because a moved end or a late appearance shifts what belongs to a window.
    """

    def __init__(self, source: AccountSource, faults: Faults, retention_days: dict[str, int]) -> None:
        self._source = source
        self._faults = faults
        self._retention_ms = {sub: days * DAY_MS for sub, days in retention_days.items()}
        self._moved_by_ms = round(faults.moved_end_by_s * 1000) if faults.moved_end_share else 0
        self._is_plain = not any(
            (
                faults.late_metadata_share,
                faults.late_flag_share,
                faults.late_transcript_share,
                faults.missing_transcript_share,
                faults.rejected_transcript_share,
                faults.moved_end_share,
            )
        )

    def window(self, sub_account_id: str, start_ms: int, end_ms: int, now_ms: int) -> list[Seen]:
        """The items of one metadata answer: visible at `now_ms`, with the end then shown in `[start_ms, end_ms)`."""
        found = self._source.segments(sub_account_id, start_ms, end_ms + self._moved_by_ms)
        seen = (self.seen(self.adjusted(segment), now_ms) for segment in found)
        return [item for item in seen if item is not None and start_ms <= item.end_ms < end_ms]

    def find(self, key: Key) -> Segment | None:
        """The segment with this identity, whether it can be seen yet or not."""
        segment = self._source.find(key)
        return None if segment is None else self.adjusted(segment)

    def newest(self, sub_account_id: str, segment_id: str, now_ms: int) -> Segment | None:
        """The last to end of the segments with this id that are over, of whatever dialogs."""
        found = map(self.adjusted, self._source.with_segment_id(sub_account_id, segment_id))
        ended = (segment for segment in found if segment.end_ms <= now_ms)
        return max(ended, key=lambda segment: (segment.end_ms, segment.dialog_id), default=None)

    def everything(self, sub_account_id: str, until_ms: int) -> Iterator[Segment]:
        """All segments that end before `until_ms`, in their final state."""
        return map(self.adjusted, self._source.everything(sub_account_id, until_ms))

    def seen(self, segment: Segment, now_ms: int) -> Seen | None:
        """The metadata item of a segment at `now_ms`; None while it is not visible."""
        if now_ms < segment.visible_ms:
            return None
        flagged = segment.flag_ms is not None and now_ms >= segment.flag_ms
        return Seen(segment, segment.end_as_of(now_ms), flagged)

    def is_expired(self, segment: Segment, now_ms: int) -> bool:
        """Whether the account's retention of this segment has ended."""
        retention_ms = self._retention_ms.get(segment.sub_account_id)
        return retention_ms is not None and now_ms >= segment.end_ms + retention_ms

    def serves(self, segment: Segment, now_ms: int) -> bool:
        """Whether a transcript request is answered with 200 at `now_ms`."""
        return segment.ready_ms is not None and now_ms >= segment.ready_ms and not self.is_expired(segment, now_ms)

    def state(self, segment: Segment, now_ms: int | None) -> State:
        """What a complete load holds of a transcript at `now_ms`, or in the end (None); the names are design.md's.

        `missing` is a transcript that is flagged and never comes: a client cannot tell it from `pending` until
        retention ends.
        """
        flagged = segment.flag_ms is not None and (now_ms is None or now_ms >= segment.flag_ms)
        if not flagged:
            return "absent"
        if now_ms is not None and self.is_expired(segment, now_ms):
            return "expired"
        if segment.ready_ms is None:
            return "missing"
        if now_ms is not None and now_ms < segment.ready_ms:
            return "pending"
        if segment.rejected_code is not None:
            return "rejected"
        return "stored" if segment.phrases else "empty"

    def adjusted(self, segment: Segment) -> Segment:
        """The segment with the faults of life that its ids draw."""
        if self._is_plain:
            return segment
        return _with_faults(segment, self._faults)


def _with_faults(segment: Segment, faults: Faults) -> Segment:
    def hit(kind: str, share: float) -> bool:
        return share > 0 and draw(faults.seed, kind, *segment.key) < share

    late_ms = round(faults.late_metadata_s * 1000) if hit("late_metadata", faults.late_metadata_share) else 0
    visible_ms = segment.visible_ms + late_ms
    flag_ms, ready_ms, rejected = segment.flag_ms, segment.ready_ms, segment.rejected_code
    if flag_ms is not None:
        flag_late = hit("late_flag", faults.late_flag_share)
        flag_ms = max(flag_ms, visible_ms) + (round(faults.late_flag_s * 1000) if flag_late else 0)
    if ready_ms is not None:
        if hit("missing_transcript", faults.missing_transcript_share):
            ready_ms = None
        elif hit("late_transcript", faults.late_transcript_share):
            ready_ms += round(faults.late_transcript_s * 1000)
    if hit("rejected_transcript", faults.rejected_transcript_share):
        rejected = faults.rejected_code
    changed = replace(segment, visible_ms=visible_ms, flag_ms=flag_ms, ready_ms=ready_ms, rejected_code=rejected)
    if segment.first_end_ms is None and hit("moved_end", faults.moved_end_share):
        first_end_ms = max(segment.end_ms - round(faults.moved_end_by_s * 1000), segment.start_ms)
        moves_ms = visible_ms + round(faults.moved_end_after_s * 1000)
        return replace(changed, first_end_ms=first_end_ms, end_moves_ms=moves_ms)
    return changed
