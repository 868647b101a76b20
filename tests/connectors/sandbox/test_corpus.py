"""A corpus on a timeline: nothing lost, nothing changed, each hour with its share."""

import gzip
import json
from collections import Counter
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import httpx
import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors.sandbox import Sandbox, SandboxConfig, SubAccount, corpus
from connectors.sandbox.corpus import Turn

Open = Callable[[SandboxConfig], tuple[httpx.Client, Sandbox]]
ROOT = "/voice/api/cx/integration/v1/accounts/980634004/sub-accounts/99999999"
START = 1_788_134_400.0  # 2026-08-31 00:00:00 UTC
DAY = 86_400
TEXTS = ["😀\t\n tab", "&amp; <b>", "你好", "\u2028\\\"'", " "]
TYPES = {"agent": "agent", "customer": "contact", "other": "bot"}


@pytest.fixture
def small(tmp_path: Path) -> Path:
    """Three conversations, one of them without times and one without turns."""
    roles = ["customer", "agent", "other", "customer", "agent"]
    turns = [{"role": role, "offset_ms": None, "text": text} for role, text in zip(roles, TEXTS, strict=True)]
    timed = [turn | {"offset_ms": 1000 * index} for index, turn in enumerate(turns)]
    path = tmp_path / "corpus.jsonl.gz"
    with gzip.open(path, "wt", encoding="utf-8") as file:
        for name, channel, said in (("a-1", "VOICE", turns), ("b", "DIGITAL", timed), ("c", "DIGITAL", [])):
            line = {"conversation_id": name, "channel": channel, "turns": said, "meta": {"licence": "MIT"}}
            file.write(json.dumps(line, ensure_ascii=False) + "\n")
    return path


def transcript(client: httpx.Client, conversation_id: str) -> list[dict[str, str]]:
    """The phrases of one conversation, over HTTP."""
    answer = client.get(f"{ROOT}/transcripts/dialogs/{conversation_id}/segments/{conversation_id}-1")
    phrases: list[dict[str, str]] = answer.json()["transcript"]
    return phrases


def test_messages_come_through_byte_for_byte(open_sandbox: Open, small: Path) -> None:
    """Emoji, tabs, entities, line separators: all of it is somebody's words."""
    client, _ = open_sandbox(SandboxConfig(account=corpus.load(small, START, START + DAY)))
    for name in ("a-1", "b"):
        assert [phrase["message"] for phrase in transcript(client, name)] == TEXTS


def test_roles_are_the_platforms_participant_types(open_sandbox: Open, small: Path) -> None:
    """The corpus says customer where the platform says contact."""
    client, _ = open_sandbox(SandboxConfig(account=corpus.load(small, START, START + DAY)))
    types = [phrase["participantType"] for phrase in transcript(client, "b")]
    assert types == ["contact", "agent", "bot", "contact", "agent"]


def test_times_are_kept_and_the_last_turn_is_the_end(open_sandbox: Open, small: Path) -> None:
    """Relative times are data; where there are none they are made up, and increase."""
    client, _ = open_sandbox(SandboxConfig(account=corpus.load(small, START, START + DAY)))
    kept, made_up = ([int(phrase["timestamp"]) for phrase in transcript(client, name)] for name in ("b", "a-1"))
    assert [at - kept[0] for at in kept] == [0, 1000, 2000, 3000, 4000]
    assert (kept[-1], made_up[-1]) == ((START + DAY * 3 / 4) * 1000, (START + DAY / 4) * 1000)
    assert made_up == sorted(set(made_up))


@given(st.lists(st.text(max_size=50), min_size=1))
def test_made_up_times_increase_strictly(texts: list[str]) -> None:
    """Even for empty texts: the order of a transcript must not hang on a tie."""
    times = corpus.offsets([Turn("agent", None, text) for text in texts])
    assert times[0] == 0
    assert all(later > earlier for earlier, later in pairwise(times))


def test_a_broken_corpus_is_an_error(tmp_path: Path) -> None:
    """Better no sandbox than one that quietly lacks conversations."""
    path = tmp_path / "broken.gz"
    path.write_bytes(gzip.compress(b'{"conversation_id": "a"}\n'))
    with pytest.raises(msgspec.ValidationError):
        corpus.load(path, START, START + DAY)


def test_the_whole_corpus_is_there_each_hour_with_its_share(shared: Path) -> None:
    """10,164 conversations and 158,066 turns, however they are spread over the sub-accounts."""
    subs = (SubAccount("1"), SubAccount("2"), SubAccount("3"))
    account = corpus.load(shared / "corpus" / "dev.jsonl.gz", START, START + DAY, sub_accounts=subs)
    segments = [s for sub in subs for s in account.segments(sub.sub_account_id, 0, int(START + DAY) * 1000)]
    assert (len(segments), sum(len(segment.phrases) for segment in segments)) == (10_164, 158_066)
    hours = Counter(segment.end_ms // 3_600_000 for segment in segments)
    assert (len(hours), max(hours.values()) - min(hours.values())) == (24, 1)
    assert min(Counter(segment.sub_account_id for segment in segments).values()) > 3000


def test_a_sample_of_the_corpus_comes_out_as_it_went_in(open_sandbox: Open, shared: Path) -> None:
    """Compared with the file itself, read here without the sandbox's help."""
    path = shared / "corpus" / "dev.jsonl.gz"
    client, _ = open_sandbox(SandboxConfig(account=corpus.load(path, START, START + DAY), limits={"transcripts": ""}))
    with gzip.open(path, "rt", encoding="utf-8") as lines:
        for line in list(lines)[::101]:
            talk = json.loads(line)
            phrases = transcript(client, talk["conversation_id"])
            said = [(TYPES[turn["role"]], turn["text"]) for turn in talk["turns"]]
            assert [(phrase["participantType"], phrase["message"]) for phrase in phrases] == said
