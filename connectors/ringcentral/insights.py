"""Insights of analyze-interaction read: of utterances, speakers and the conversation. Pure."""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Annotated

import msgspec

from connectors.answers import UNREADABLE
from connectors.ringcentral.masking import masked
from connectors.ringcentral.records import Insight
from connectors.ringcx.records import Problem

LONGEST_S = 7 * 86_400.0  # no audio is longer: a later time is none

Items = list[msgspec.Raw]
Seconds = Annotated[float, msgspec.Meta(ge=0, le=LONGEST_S)]
Speaker = str | int | None


class _Place(msgspec.Struct, rename="camel"):
    start: Seconds | None = None
    end: Seconds | None = None
    speaker_id: Speaker = None


class _Unit(msgspec.Struct):
    name: str


class _Units(msgspec.Struct):
    insights: Items = []


class _Valued(msgspec.Struct):
    name: str
    values: Items = []


def insights_of(
    per_utterance: Items | None, per_speaker: Items | None, of_all: Items | None, flaws: list[Problem]
) -> tuple[Insight, ...] | None:
    """All insights in the order of the answer; None where it has no place for any. Flaws are added to `flaws`."""
    if per_utterance is None and per_speaker is None and of_all is None:
        return None
    found: list[Insight] = []
    parts: Sequence[tuple[Items | None, Callable[[bytes], list[Insight]]]] = (
        (per_utterance, _of_utterance),
        (per_speaker, partial(_of_values, "speaker")),
        (of_all, partial(_of_values, "conversation")),
    )
    for items, read in parts:
        for position, raw in enumerate(items or []):
            try:
                found += read(bytes(raw))
            except UNREADABLE as error:
                flaws.append(Problem(position=position, raw=bytes(raw).decode("utf-8", "replace"), reason=str(error)))
    return tuple(found)


def read_place(raw: bytes) -> tuple[str | None, int | None, int | None]:
    """Whom an item is about, and between which ms. Raises msgspec.ValidationError for a place that is none."""
    place = msgspec.json.decode(raw, type=_Place)
    speaker = None if place.speaker_id is None else str(place.speaker_id)
    return speaker, _ms(place.start), _ms(place.end)


def _of_utterance(raw: bytes) -> list[Insight]:
    units = msgspec.json.decode(raw, type=_Units).insights
    place = read_place(raw)
    return [Insight("utterance", msgspec.json.decode(unit, type=_Unit).name, _json(unit), *place) for unit in units]


def _of_values(scope: str, raw: bytes) -> list[Insight]:
    unit = msgspec.json.decode(raw, type=_Valued)
    return [Insight(scope, unit.name, _json(value), *_place_of(value)) for value in unit.values]


def _place_of(value: msgspec.Raw) -> tuple[str | None, int | None, int | None]:
    try:
        return read_place(bytes(value))
    except msgspec.ValidationError:  # a value that is no object; or whose place is none, which is kept with it
        return None, None, None


def _json(value: msgspec.Raw) -> str:
    return masked(bytes(value).decode())


def _ms(seconds: float | None) -> int | None:
    return None if seconds is None else round(seconds * 1000)
