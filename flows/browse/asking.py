"""What an address asks for, and addresses that ask for it. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from datetime import UTC, date, datetime, timedelta
from urllib.parse import quote, urlencode

from flows.search.searching import Filters, Key

LONGEST_FIELD = 200


class BadAddress(ValueError):
    """A value in the address that cannot be meant."""


@dataclass(frozen=True, slots=True)
class Asked:
    """The list that a reader wants: as in the form, and where in it. Days are UTC, the last one included."""

    q: str = ""
    since: str = ""
    until: str = ""
    channel: str = ""
    direction: str = ""
    agent: str = ""
    sub_account: str = ""
    disposition: str = ""
    order: str = ""
    before: str = ""
    page: str = ""
    at: str = ""

    @classmethod
    def read(cls, values: Mapping[str, str]) -> "Asked":
        """The values that an address carries; unknown ones do not matter."""
        return cls(**{field.name: _printable(values.get(field.name, "")) for field in fields(cls)})

    @property
    def filters(self) -> Filters:
        """Which conversations. Raises BadAddress."""
        long = [name for name in ("channel", "direction", "agent", "sub_account", "disposition") if self._is_long(name)]
        if long:
            raise BadAddress(f"{long[0]} is longer than anything that it could be")
        return Filters(
            since=_midnight(self.since, "since"),
            until=_midnight(self.until, "until", timedelta(days=1)),
            channel=self.channel or None,
            direction=self.direction or None,
            agent=self.agent or None,
            sub_account=self.sub_account or None,
            disposition=self.disposition or None,
        )

    @property
    def is_filtered(self) -> bool:
        """Whether anything but the place in the list is asked for."""
        return self.start != Asked()

    @property
    def start(self) -> "Asked":
        """The same list from its beginning."""
        return replace(self, before="", page="", at="")

    @property
    def number(self) -> int:
        """The page of a search, from 1. Raises BadAddress."""
        return _number(self.page, "page") or 1

    @property
    def snapshot(self) -> int | None:
        """The lake's state in which that page is one. Raises BadAddress."""
        return _number(self.at, "at")

    @property
    def place(self) -> tuple[datetime, str, str] | None:
        """The conversation after which the list goes on: when it began, sub-account, dialog. Raises BadAddress."""
        if not self.before:
            return None
        try:
            moment, account, dialog = self.before.split("~", 2)
            return datetime.fromtimestamp(int(moment) / 1e6, UTC), account, dialog
        except (ValueError, OverflowError, OSError):
            raise BadAddress("before does not name a place in the list") from None

    def address(self, **changes: str) -> str:
        """The address of this list, with these values instead."""
        asked = replace(self, **changes)
        given = {field.name: getattr(asked, field.name) for field in fields(asked) if getattr(asked, field.name)}
        return "/" + ("?" + urlencode(given) if given else "")

    def _is_long(self, name: str) -> bool:
        return len(getattr(self, name)) > LONGEST_FIELD


def place_of(started_at: datetime, key: Key) -> str:
    """How an address names a conversation's place in the list."""
    since = started_at - datetime(1970, 1, 1, tzinfo=UTC)
    return "~".join([str(since // timedelta(microseconds=1)), *key])


def dialog_address(key: Key, q: str = "", turn: int | None = None, part: int = 1) -> str:
    """The address of a conversation, of one of its turns where it is given."""
    account, dialog = (quote(name, safe="") for name in key)
    given = {"q": q} if q else {}
    given |= {"part": str(part)} if part > 1 else {}
    return f"/dialog/{account}/{dialog}" + ("?" + urlencode(given) if given else "") + (f"#turn-{turn}" if turn else "")


def _printable(text: str) -> str:
    return "".join(max(sign, " ") for sign in text).strip()


def _midnight(text: str, name: str, later: timedelta = timedelta()) -> datetime | None:
    if not text:
        return None
    try:
        day = date.fromisoformat(text)
        return datetime(day.year, day.month, day.day, tzinfo=UTC) + later
    except (ValueError, OverflowError):
        raise BadAddress(f"{name}: {text[:40]} is no day; write it as 2026-08-31") from None


def _number(text: str, name: str) -> int | None:
    if not text:
        return None
    if not (text.isascii() and text.isdecimal() and 0 < len(text) < 10):
        raise BadAddress(f"{name} is no number")
    return int(text)
