"""Request quotas that every process with the same credentials shares.

group    requests that the platform counts together: `transcripts`, `metadata:<sub-account>`, `auth:ringcx`, ...
limit    so many requests in any interval of so many seconds; a group may have several
log      the sliding-window log of a group: one row per request sent, in an SQLite file (pyrate-limiter's)
place    a request's row in the log, dated when it was granted and again when the request was answered
back     backfills stand back: who does so takes a place only when nobody else waits for one
penalty  after a 429 the group is silent until a moment that is kept beside the log, so in every process

Nothing here waits: a caller is told how long to, and asks again. A burst of the whole limit is allowed at once. The
platform counts *arrivals*, which trail the grants by a delay that varies; but a request has arrived by the time it is
answered, so a place counts from then on, and no window of the platform's ever holds more than its limit however slow
the machine or the network. `margin_s` is for the rest: clocks that run unequally, and a process that is killed
between a grant and its answer.
"""

import hashlib
import re
import sqlite3
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import cast

from pyrate_limiter import Rate, RateItem, SQLiteBucket

from connectors import state

GRACE_MS, YIELD_MS = 1000, 20  # how long one who waited may take to come back; how long after it others ask
MARGIN_SHARE = 0.005
SHORTEST_S = 0.001


@dataclass(frozen=True, slots=True)
class Limit:
    """At most `requests` in any `seconds`."""

    requests: int
    seconds: float


def parse_limits(text: str) -> tuple[Limit, ...]:
    """The limits that `3/60,9/900` states (requests/seconds), shortest interval first.

    Raises ValueError for anything else, and for limits of which one makes another meaningless.
    """
    limits = sorted((_limit(part.strip()) for part in text.split(",")), key=lambda limit: limit.seconds)
    for short, long in pairwise(limits):
        if short.seconds == long.seconds or short.requests >= long.requests:
            raise ValueError(f"{text!r}: a longer interval must allow more requests than a shorter one")
        if long.requests / _interval_ms(long) > short.requests / _interval_ms(short):
            raise ValueError(f"{text!r}: a longer interval must not allow more requests per second than a shorter one")
    return tuple(limits)


def _limit(text: str) -> Limit:
    found = re.fullmatch(r"([0-9]{1,9})\s*/\s*([0-9]{1,9}(?:\.[0-9]+)?)", text)
    if not found or int(found[1]) < 1 or float(found[2]) < SHORTEST_S:
        raise ValueError(f"{text!r} is not requests/seconds, such as 120/60")
    return Limit(int(found[1]), float(found[2]))


def margin_s(seconds: float) -> float:
    """How much longer than the platform's an interval is taken here: half a percent."""
    return seconds * MARGIN_SHARE


def _interval_ms(limit: Limit) -> int:
    return round((limit.seconds + margin_s(limit.seconds)) * 1000)


class Quota:
    """One group's log and penalty, shared through `path` by every process that opens it."""

    def __init__(
        self, path: Path, limits: tuple[Limit, ...], clock: Callable[[], float], stand_back: int | None = None
    ) -> None:
        """`stand_back`: None takes whatever is free; a number takes only what nobody else waits for, and leaves so many
        places of each limit free for those who may come.
        """
        self._path = path
        self.limits = limits
        self._clock = clock
        self._stand_back = stand_back
        self.place = 0  # the latest one taken here
        rates = [Rate(limit.requests, _interval_ms(limit)) for limit in limits]
        with state.usable(path):
            path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            self._bucket = SQLiteBucket.init_from_file(rates, table="log", db_path=str(path), use_file_lock=True)
        with self._locked():
            self._sql("CREATE TABLE IF NOT EXISTS silence (from_ms INTEGER, until_ms INTEGER)")
            self._sql("CREATE TABLE IF NOT EXISTS waiting (from_ms INTEGER, until_ms INTEGER)")
            self._bucket.leak(self._now_ms())

    def take(self) -> float:
        """Seconds to wait before asking again; 0 when the request may be sent now (and is counted)."""
        with self._locked():
            now = self._now_ms()
            silent_ms = self._silent_until_ms(now) - now
            if silent_ms > 0:
                return silent_ms / 1000
            # A clock set back leaves rows in the future, which would block the group until they are past. They were
            # sent, so they count: as sent now, because how long ago it really was cannot be known any more.
            self._sql("UPDATE log SET item_timestamp = ? WHERE item_timestamp > ?", now, now)
            if self._stand_back is not None and (back_ms := self._back_ms(now, self._stand_back)) > 0:
                return back_ms / 1000
            item = RateItem("request", now)
            granted = self._bucket.put(item)
            wait_ms = 0 if granted else max(cast("int", self._bucket.waiting(item)), 1)
            if self._stand_back is None:
                self._sql("DELETE FROM waiting")
            if granted:
                self.place = int(self._sql("SELECT last_insert_rowid()")[0][0])
                return 0.0
            if self._stand_back is None:
                self._sql("INSERT INTO waiting VALUES (?, ?)", now, now + wait_ms)
            self._bucket.leak(now)
        return wait_ms / 1000

    def answered(self, place: int) -> None:
        """The request sent from `place` has been answered, or given up: it has arrived by now, and counts as now."""
        with self._locked():
            self._sql("UPDATE log SET item_timestamp = ? WHERE rowid = ?", self._now_ms(), place)

    def silence(self, seconds: float) -> None:
        """Nobody sends in this group for `seconds`, unless it is silent for longer already."""
        with self._locked():
            now = self._now_ms()
            until = now + round(seconds * 1000)
            if until > self._silent_until_ms(now):
                self._be_silent(now, until)

    def silent_for_s(self) -> float:
        """Seconds until the group may speak again; 0 when it may now."""
        with self._locked():
            now = self._now_ms()
            return max(0.0, (self._silent_until_ms(now) - now) / 1000)

    def used(self, seconds: float) -> int:
        """Requests of the last `seconds`, by all processes; complete for up to the longest interval."""
        with self._locked():
            since = self._now_ms() - round(seconds * 1000)
            return int(self._sql("SELECT count(*) FROM log WHERE item_timestamp > ?", since)[0][0])

    def close(self) -> None:
        """Let go of the file."""
        with state.usable(self._path):
            self._bucket.close()  # type: ignore[no-untyped-call]

    @contextmanager
    def _locked(self) -> Iterator[None]:
        """Alone with the file, over all processes. Raises StateUnavailable."""
        with state.usable(self._path), self._bucket.lock:
            yield

    def _back_ms(self, now: int, leave: int) -> int:
        """How long one who stands back waits: for others who wait already, and until enough places would be left."""
        waits = [0]
        for since, until in self._sql("SELECT from_ms, until_ms FROM waiting"):
            if since <= now < until + GRACE_MS:
                waits.append(max(until - now, 0) + YIELD_MS)
        for limit in self.limits:
            interval = _interval_ms(limit)
            allowed = max(limit.requests - leave, 1)
            oldest = self._sql(
                "SELECT item_timestamp FROM log WHERE item_timestamp > ? ORDER BY item_timestamp DESC LIMIT 1 OFFSET ?",
                now - interval,
                allowed - 1,
            )
            waits += [row[0] + interval - now for row in oldest]
        return max(waits)

    def _silent_until_ms(self, now: int) -> int:
        for since, until in self._sql("SELECT from_ms, until_ms FROM silence"):
            if since <= now:
                return int(until)
            # The clock was set back: as long as it was meant to be, but from now.
            self._be_silent(now, now + until - since)
            return now + int(until - since)
        return 0

    def _be_silent(self, since: int, until: int) -> None:
        self._sql("DELETE FROM silence")
        self._sql("INSERT INTO silence VALUES (?, ?)", since, until)

    def _sql(self, statement: str, *parameters: int) -> list[sqlite3.Row]:
        with self._bucket.conn:
            return self._bucket.conn.execute(statement, parameters).fetchall()

    def _now_ms(self) -> int:
        return round(self._clock() * 1000)


class Quotas:
    """Every group's quota, opened when first asked for, under one folder per set of credentials."""

    def __init__(
        self,
        folder: Path,
        limits: Mapping[str, tuple[Limit, ...]],
        clock: Callable[[], float],
        stand_back: Mapping[str, int] | None = None,
    ) -> None:
        """`limits`, and `stand_back` (see `Quota`), by the group's name up to the first colon: `metadata` holds for
        every `metadata:<sub-account>`.
        """
        self._folder, self._limits, self._clock, self._stand_back = folder, limits, clock, stand_back or {}
        self._open: dict[str, Quota] = {}

    def __getitem__(self, group: str) -> Quota:
        if group not in self._open:
            kind = group.partition(":")[0]
            name = f"{kind}-{hashlib.sha256(group.encode()).hexdigest()[:12]}.sqlite"
            back = self._stand_back.get(kind)
            self._open[group] = Quota(self._folder / name, self._limits[kind], self._clock, back)
        return self._open[group]

    def close(self) -> None:
        """Let go of the files."""
        for quota in self._open.values():
            quota.close()
        self._open.clear()
