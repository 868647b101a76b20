"""Which segments something is fetched for, as a condition over `segments`. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from flows.settings import SettingsError

EPOCH = datetime.fromtimestamp(0, UTC)


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """Segments that ended in `[start, end)`; of these sub-accounts, agents and channels, where any are named.

    No start: as far back as RingCX keeps anything. A channel is a type or a class (VOICE, DIGITAL, EMAIL, ...).
    """

    start: datetime | None = None
    end: datetime | None = None
    sub_accounts: tuple[str, ...] = ()
    agents: tuple[str, ...] = ()
    channels: tuple[str, ...] = ()
    min_seconds: float = 0.0

    def chosen(self, known: Sequence[str]) -> tuple[str, ...]:
        """The sub-accounts, of those that are `known`. Raises SettingsError for another."""
        unknown = sorted(set(self.sub_accounts) - set(known))
        if unknown:
            said = f"--sub-account {', '.join(unknown)} is none of this user's sub-accounts ({', '.join(known)})"
            raise SettingsError(said)
        return self.sub_accounts or tuple(known)

    def parameters(self, known: Sequence[str], now: datetime, oldest: datetime) -> dict[str, object]:
        """What `CONDITION` is asked with; `known` sub-accounts where none is named."""
        return {
            "start": self.start or oldest,
            "again": self.start or EPOCH,
            "end": self.end or now,
            "accounts": list(self.chosen(known)),
            "agents": list(self.agents),
            "channels": [channel.upper() for channel in self.channels],
            "min_ms": round(self.min_seconds * 1000),
        }


# Of a segment `s` and what is known of the item, `r`. One that was asked for is asked for until it ends, however old.
CONDITION = """
    s.segment_end_time >= if(r.state IS NULL, $start, $again) AND s.segment_end_time < $end
    AND list_contains($accounts::VARCHAR[], s.sub_account_id)
    AND (len($agents::VARCHAR[]) = 0 OR list_contains($agents::VARCHAR[], s.segment_participant_id))
    AND (len($channels::VARCHAR[]) = 0
        OR list_has_any($channels::VARCHAR[], [upper(s.channel_type), upper(s.channel_class)]))
    AND coalesce(s.segment_duration_ms, 0) >= $min_ms
"""
