"""An account that is a list of segments, made beforehand: by a test, or from a corpus."""

from bisect import bisect_left
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence

from connectors.sandbox.model import Key, Phrase, Segment, SubAccount

DEFAULT_SUB_ACCOUNT = SubAccount("99999999", "Main contact centre")


class FixedAccount:
    """Segments in memory, found by identity and by end time; a segment given twice raises ValueError."""

    def __init__(
        self, segments: Iterable[Segment], sub_accounts: Sequence[SubAccount] = (DEFAULT_SUB_ACCOUNT,)
    ) -> None:
        self.sub_accounts = tuple(sub_accounts)
        self._by_key: dict[Key, Segment] = {}
        by_sub: defaultdict[str, list[Segment]] = defaultdict(list)
        for segment in segments:
            if self._by_key.setdefault(segment.key, segment) is not segment:
                raise ValueError(f"two segments with the identity {segment.key}")
            by_sub[segment.sub_account_id].append(segment)
        self._by_end = {sub: sorted(found, key=lambda segment: segment.end_ms) for sub, found in by_sub.items()}
        self._ends = {sub: [segment.end_ms for segment in found] for sub, found in self._by_end.items()}
        self._moving = [segment for segment in self._by_key.values() if segment.first_end_ms is not None]

    def segments(self, sub_account_id: str, start_ms: int, end_ms: int) -> Iterator[Segment]:
        """Segments whose final or first-shown end lies in `[start_ms, end_ms)`; see `AccountSource`."""
        ends = self._ends.get(sub_account_id, [])
        yield from self._by_end.get(sub_account_id, [])[bisect_left(ends, start_ms) : bisect_left(ends, end_ms)]
        for segment in self._moving:
            is_listed = start_ms <= segment.end_ms < end_ms
            is_asked_for = segment.sub_account_id == sub_account_id and start_ms <= (segment.first_end_ms or 0) < end_ms
            if is_asked_for and not is_listed:
                yield segment

    def find(self, key: Key) -> Segment | None:
        """The one segment with this identity."""
        return self._by_key.get(key)

    def everything(self, sub_account_id: str, until_ms: int) -> Iterator[Segment]:
        """All segments that end before `until_ms`, in the order of their ends."""
        ends = self._ends.get(sub_account_id, [])
        yield from self._by_end.get(sub_account_id, [])[: bisect_left(ends, until_ms)]

    def with_segment_id(self, sub_account_id: str, segment_id: str) -> Iterator[Segment]:
        """The segments with this id, of whatever dialogs."""
        found = self._by_end.get(sub_account_id, [])
        yield from (segment for segment in found if segment.segment_id == segment_id)


def simple_segment(
    dialog_id: str,
    segment_id: str,
    end_s: float,
    lines: Sequence[tuple[str, str]] = (("agent", "Hello, how can I help you?"), ("contact", "Where is my order?")),
    **changes: object,
) -> Segment:
    """A digital segment, for tests: ends at `end_s` (epoch seconds), one `(role, message)` line every 10 s before.

    Everything is visible at once, and without lines there is no transcript. `changes` replace fields of `Segment`.
    """
    end_ms = round(end_s * 1000)
    start_ms = end_ms - 10_000 * len(lines)
    plain = Segment(
        sub_account_id=DEFAULT_SUB_ACCOUNT.sub_account_id,
        dialog_id=dialog_id,
        segment_id=segment_id,
        interaction_id=f"i-{dialog_id}",
        dialog_start_ms=start_ms,
        dialog_end_ms=end_ms,
        start_ms=start_ms,
        end_ms=end_ms,
        visible_ms=end_ms,
        flag_ms=end_ms if lines else None,
        ready_ms=end_ms if lines else None,
        channel_type="MESSENGER",
        channel_class="DIGITAL",
        participant_id="789438",
        phrases=tuple(
            Phrase(
                participant_id="789438" if role == "agent" else f"{dialog_id}-{role}",
                participant_type=role,
                rc_user_id="665127314" if role == "agent" else None,
                timestamp=str(start_ms + 10_000 * (index + 1)),
                message=message,
            )
            for index, (role, message) in enumerate(lines)
        ),
    )
    fields = {name: getattr(plain, name) for name in plain.__struct_fields__} | changes
    return Segment(**fields)
