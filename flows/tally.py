"""What a run has done so far: what it read always equals what it loaded, skipped and quarantined."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field, fields

import msgspec


@dataclass(slots=True)
class Tally:
    """Counts of one run; those that are columns of `runs` have its names.

    `transcripts_left`: fetched once more in vain, so what was stored stays.
    """

    windows_polled: int = 0
    segments_read: int = 0
    segments_loaded: int = 0
    segments_skipped: int = 0
    segments_quarantined: int = 0
    transcripts_stored: int = 0
    transcripts_not_ready: int = 0
    transcripts_rejected: int = 0
    transcripts_expired: int = 0
    transcripts_left: int = 0
    utterances_read: int = 0
    utterances_loaded: int = 0
    utterances_skipped: int = 0
    utterances_quarantined: int = 0
    requests_planned: int = 0
    requests_done: int = 0
    flagged: int = 0
    fetched: int = 0
    unknown_fields: Counter[str] = field(default_factory=Counter)
    troubles: list[str] = field(default_factory=list)

    def adds_up(self) -> bool:
        """Whether every item read is accounted for."""
        segments = self.segments_loaded + self.segments_skipped + self.segments_quarantined
        utterances = self.utterances_loaded + self.utterances_skipped + self.utterances_quarantined
        return self.segments_read == segments and self.utterances_read == utterances

    def columns(self, spent: Mapping[tuple[str, str], int]) -> dict[str, object]:
        """The counts as columns of `runs`, with the requests `spent` by (group, answer)."""
        requests: dict[str, dict[str, int]] = {}
        for (group, answer), count in sorted(spent.items()):
            requests.setdefault(group, {})[answer] = count
        not_columns = {"requests_planned", "requests_done", "flagged", "fetched", "transcripts_left"}
        not_columns |= {"unknown_fields", "troubles"}
        row: dict[str, object] = {f.name: getattr(self, f.name) for f in fields(self) if f.name not in not_columns}
        row["requests"] = msgspec.json.encode(requests).decode()
        row["unknown_fields"] = msgspec.json.encode(dict(sorted(self.unknown_fields.items()))).decode()
        row["error"] = "\n".join(self.troubles) or None
        return row
