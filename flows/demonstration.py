"""The demo: the real flow against a sandbox with the platform's real limits, then a look at what it stored."""

import asyncio
import os
import random
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path

from rich.console import Console
from rich.text import Text

from connectors.sandbox.account import generate_account
from connectors.sandbox.config import SandboxConfig
from connectors.sandbox.server import SandboxServer
from flows import show
from flows.runtime import open_lake
from flows.sandboxes import point_at
from flows.settings import load_settings
from sinks.lake import Lake

FOLDER = Path(".demo")
HISTORY = timedelta(hours=2, minutes=30)  # three requests: as many as a sub-account may make at once
DIALOGS_PER_HOUR = 20  # about a hundred transcripts: as many as may be fetched at once

LOADED_SQL = """
    SELECT sub_account_id, channel_type, count(*) AS segments,
           count(*) FILTER (transcript_state = 'stored') AS transcripts, sum(utterance_count)::BIGINT AS utterances,
           strftime(min(segment_end_time), '%H:%M') AS first, strftime(max(segment_end_time), '%H:%M') AS last
    FROM segments GROUP BY ALL ORDER BY ALL
"""
CHOICE_SQL = """
    SELECT sub_account_id, dialog_id FROM conversations
    WHERE turns BETWEEN 6 AND 18 ORDER BY segments DESC, ended_at DESC, dialog_id LIMIT 5
"""
TALK_SQL = """
    SELECT spoken_at, segment_id, participant_id, message, coalesce(participant_name, speaker, 'unknown') AS speaker
    FROM turns WHERE sub_account_id = ? AND dialog_id = ? ORDER BY turn
"""
NEXT_SQL = (
    "SELECT channel_type, started_at, turns, talk_share, opening FROM conversations ORDER BY started_at DESC LIMIT 10"
)


def run() -> int:
    """Load and show; 0 when everything came."""
    console = Console(soft_wrap=True, highlight=False)
    FOLDER.mkdir(exist_ok=True)
    config = SandboxConfig(account=generate_account(dialogs_per_hour=DIALOGS_PER_HOUR))
    with SandboxServer(config) as server:
        console.print(f"A RingCX sandbox is running at {server.base_url}, with the platform's real limits.")
        console.print("Starting a temporary Prefect server, and the ingest flow ...")
        _point_settings_at(config, server.base_url)
        from flows.ingest import ingest  # Prefect reads its settings when it is imported
        from flows.recording import RunFailed

        try:
            done = asyncio.run(ingest())
        except RunFailed as error:
            console.print(Text(f"This did not come: {error}", style="yellow"))
            return 1
    show.report(done)
    with open_lake(load_settings()) as lake:
        console.print("\n[bold]What is in the tables[/bold]")
        show.rows(lake.query(LOADED_SQL), "table", None)
        _show_conversation(lake, console)
    console.print("[bold]Try next[/bold]")
    console.print(f'  RINGCX_LAKE={FOLDER}/lake {_program()} query "{NEXT_SQL}"')
    return 0 if done.ok else 1


def _point_settings_at(config: SandboxConfig, base_url: str) -> None:
    """The flow reads its settings from the environment, as it always does; the demo's hold for this process only."""
    for name in [name for name in os.environ if name.startswith(("RINGCX_", "RINGCENTRAL_"))]:
        del os.environ[name]
    os.environ |= {
        **point_at(config, base_url),
        "RINGCX_START": (datetime.now(UTC) - HISTORY).isoformat(),
        "RINGCX_LAKE": str(FOLDER / "lake"),
        "RINGCX_STATE_PATH": str(FOLDER / "state"),
    }
    os.environ.pop("PREFECT_API_URL", None)
    os.environ.setdefault("PREFECT_HOME", str((FOLDER / "prefect").resolve()))
    os.environ.setdefault("PREFECT_LOGGING_LEVEL", "CRITICAL")
    os.environ.setdefault("PREFECT_SERVER_ANALYTICS_ENABLED", "false")
    os.environ.setdefault("PREFECT_SERVER_MEMOIZE_BLOCK_AUTO_REGISTRATION", "false")  # it would write to ~/.prefect


def _show_conversation(lake: Lake, console: Console) -> None:
    choices = lake.query(CHOICE_SQL).to_pylist()
    if not choices:
        return
    chosen = random.choice(choices)  # noqa: S311 - which one to show
    console.print(f"[bold]A conversation[/bold] (dialog {chosen['dialog_id']})")
    colours: dict[str, str] = {}
    segment = None
    for line in lake.query(TALK_SQL, list(chosen.values())).to_pylist():
        if segment not in (None, line["segment_id"]):
            console.print("           -- transferred --", style="dim")
        segment = line["segment_id"]
        colour = colours.setdefault(line["participant_id"], ("cyan", "green", "magenta", "yellow")[len(colours) % 4])
        speaker = Text(f"{str(line['speaker'])[:18]:>18}", style=colour)
        console.print(Text.assemble(f"  {line['spoken_at']:%H:%M:%S} ", speaker, "  ", show.harmless(line["message"])))
    console.print()


def _program() -> str:
    with suppress(ValueError):
        return str((Path(__file__).parent.parent / ".venv/bin/ringcx-etl").relative_to(Path.cwd()))
    return "ringcx-etl"
