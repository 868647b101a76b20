"""The main job on real conversations: what people wrote arrives as they wrote it."""

import gzip
import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from tests.processes import CORPUS, run_cli, sandbox_process

pytestmark = [pytest.mark.slow, pytest.mark.skipif(not CORPUS.exists(), reason="the corpus is not here")]
UNLIMITED = "1000000/60"


def test_every_utterance_of_the_corpus_arrives_once_unchanged_and_in_order(tmp_path: Path) -> None:
    """10,164 conversations with emoji, tabs, newlines, HTML entities and Chinese, through every layer there is."""
    limits = {"RINGCX_TRANSCRIPT_LIMITS": UNLIMITED, "RINGCX_METADATA_LIMITS": UNLIMITED}
    arguments = (
        "--corpus",
        str(CORPUS),
        "--days",
        "1",
        "--transcript-limits",
        UNLIMITED,
        "--metadata-limits",
        UNLIMITED,
    )
    with sandbox_process(*arguments) as sandbox:
        env = sandbox.settings(tmp_path) | limits
        end = datetime.now(UTC)
        span = ("--start", (end - timedelta(days=2.5)).isoformat(), "--end", end.isoformat())
        done = run_cli("backfill", *span, env=env, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    everything = "SELECT dialog_id, segment_id, seq, message FROM utterances ORDER BY dialog_id, segment_id, seq"
    stored = run_cli("query", everything, "--format", "parquet", "--output", "all.parquet", env=env, cwd=tmp_path)
    assert stored.returncode == 0, stored.stderr
    columns = pq.read_table(tmp_path / "all.parquet").to_pydict()
    loaded = list(zip(*columns.values(), strict=True))
    with gzip.open(CORPUS, "rt", encoding="utf-8") as corpus:
        wanted = [
            (talk["conversation_id"], f"{talk['conversation_id']}-1", seq, turn["text"])
            for talk in map(json.loads, corpus)
            for seq, turn in enumerate(talk["turns"])
        ]
    assert len(wanted) == 158_066
    assert loaded == sorted(wanted)
