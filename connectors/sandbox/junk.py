"""Junk beside the good: broken metadata items, duplicates, broken phrases, and fields nobody has documented.

Good items and phrases are never damaged, so what a complete load must hold does not change. The same item draws the
same junk.
"""

from typing import Any

import msgspec

from connectors.sandbox.faults import Faults, draw
from connectors.sandbox.model import Segment
from connectors.sandbox.replies import Transcript

EXTRA = {"futureField": {"since": "2031-01", "values": [1, None, "x"]}}


def with_junk_items(items: list[dict[str, Any]], faults: Faults) -> list[Any]:
    """The items of one metadata answer with their duplicates, broken neighbours and extra fields."""
    if not (faults.malformed_item_share or faults.duplicate_item_share or faults.unknown_field_share):
        return items
    result: list[Any] = []
    for item in items:
        key = (item["subAccountId"], item["dialogId"], item["segmentId"])
        served = item | EXTRA if _hit(faults, "unknown_field", faults.unknown_field_share, key) else item
        result.append(served)
        if _hit(faults, "malformed_item", faults.malformed_item_share, key):
            result.append(_broken_item(item, draw(faults.seed, "how", *key)))
        if _hit(faults, "duplicate_item", faults.duplicate_item_share, key):
            result.append(served)
    return result


def has_malformed_phrase(faults: Faults, segment: Segment) -> bool:
    """Whether the transcript of this segment is served with a broken phrase among the good ones."""
    return bool(segment.phrases) and _hit(faults, "malformed_phrase", faults.malformed_phrase_share, segment.key)


def junk_transcript(segment: Segment, faults: Faults) -> bytes | None:
    """The body of a transcript with junk in it; None when this segment has none."""
    is_broken = has_malformed_phrase(faults, segment)
    is_extended = _hit(faults, "unknown_field", faults.unknown_field_share, segment.key)
    if not (is_broken or is_extended):
        return None
    body = msgspec.to_builtins(Transcript(segment.channel_class, None, None, segment.phrases))
    phrases: list[Any] = [phrase | EXTRA if is_extended else phrase for phrase in body["transcript"]]
    if is_broken:
        where = draw(faults.seed, "how", *segment.key)
        phrases.insert(int(where * len(phrases)) + 1, _broken_phrase(phrases[0], where))
    return msgspec.json.encode(body | {"transcript": phrases} | (EXTRA if is_extended else {}))


def _hit(faults: Faults, kind: str, share: float, key: tuple[str, ...]) -> bool:
    return share > 0 and draw(faults.seed, kind, *key) < share


def _broken_item(item: dict[str, Any], how: float) -> object:
    kinds: list[object] = [
        {name: value for name, value in item.items() if name != "segmentId"},
        item | {"segmentId": 12345},
        item | {"segmentEndTimeMs": "not a time"},
        item | {"dialogId": None},
        item | {"hasTranscript": "perhaps", "segmentId": f"{item['segmentId']}-junk"},
        None,
        "item",
        [],
    ]
    return kinds[int(how * len(kinds))]


def _broken_phrase(phrase: dict[str, Any], how: float) -> object:
    kinds: list[object] = [
        {name: value for name, value in phrase.items() if name != "message"},
        phrase | {"timestamp": "yesterday"},
        phrase | {"message": 42},
        phrase | {"message": None},
        phrase | {"timestamp": None},
        None,
        "phrase",
    ]
    return kinds[int(how * len(kinds))]
