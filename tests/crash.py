"""Real processes killed at any moment, on a lake that must come through it: nothing lost, doubled or asked for again.

A *crash test* is one sandbox, one lake and a span of its history. Processes load the span and are killed (SIGKILL, to
their whole group). After each kill the lake is read at once: what it holds must be the truth, though not yet all of it,
and what it holds no later request may ask for. At the end, runs that nobody kills must bring the rest.
"""

import json
import os
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
import pyarrow as pa

from connectors.sandbox import LogRecord
from flows import tables
from flows.columns import INSTANT
from flows.runtime import open_lake
from flows.settings import load_settings
from sinks.changes import Upsert
from sinks.errors import LakeUnavailable
from sinks.lake import Lake
from tests.processes import PROGRAM, ROOT, SandboxProcess, run_cli, sandbox_process

Key = tuple[str, str, str]
Said = tuple[tuple[str | None, ...], ...]  # a transcript: its phrases, in order
MANY = "1000000/60"
ANSWERED = ("stored", "empty", "rejected", "expired")


@dataclass(frozen=True, slots=True)
class Failpoint:
    """A line before, or `after_ms` into, whose `hit`-th execution a process dies; see `tests.crash_launcher`."""

    name: str
    file: str
    line: str
    hit: int = 1
    occurrence: int = 0
    after_ms: float = 0


# In this order: the first ones need a lake and a login that are not there yet.
FAILPOINTS = (
    Failpoint("catalog just made", "sinks/engine.py", 'con.execute("USE lake")'),
    Failpoint("before the tables are made", "sinks/layout.py", 'con.execute("BEGIN")'),
    Failpoint("before COMMIT of the tables", "sinks/layout.py", 'con.execute("COMMIT")'),
    Failpoint("while writing the tokens", "connectors/ringcx/tokens.py", "file.write("),
    Failpoint("tokens written, not in place", "connectors/ringcx/tokens.py", "fresh.replace("),
    Failpoint("quota file locked", "connectors/limits.py", "item = RateItem(", hit=4),
    Failpoint("quota taken, file locked", "connectors/limits.py", "return 0.0", hit=7),
    Failpoint("write lock taken", "sinks/lock.py", "holder.write_text(_name()", hit=4),
    Failpoint("before BEGIN", "sinks/lake.py", "since = durable.now()", hit=4),
    Failpoint("after BEGIN", "sinks/lake.py", "writing = Writing(con)", hit=4),
    Failpoint("after the upserts", "sinks/writing.py", "for change in changes:", hit=20, occurrence=1),
    Failpoint("after the appends", "sinks/writing.py", "self._scratch.drop()", hit=6),
    Failpoint("before fsync", "sinks/lake.py", "durable.flush_new_files(", hit=5),
    Failpoint("between two fsyncs", "sinks/durable.py", "os.fsync(handle)", hit=12),
    Failpoint("after fsync", "sinks/lake.py", "check_held()", hit=5),
    Failpoint("before COMMIT", "sinks/lake.py", 'con.execute("COMMIT")', hit=5),
    Failpoint("in COMMIT", "sinks/lake.py", 'con.execute("COMMIT")', hit=5, after_ms=4),
    Failpoint("after COMMIT", "sinks/lake.py", "return writing.written", hit=5, occurrence=-1),
    Failpoint("dead runs known", "flows/on_record.py", "mark = Upsert(tables.RUNS"),
    Failpoint("dead runs made up for, not forgotten", "flows/alive.py", "path.unlink(", occurrence=1),
    Failpoint("after a poll's commit", "flows/pipeline.py", "loaded = written["),
    Failpoint("after a claim", "flows/pipeline.py", "mine = self.store.query(CLAIMED_SQL"),
    Failpoint("fetched, not flushed", "flows/pipeline.py", "self._outcomes.append(outcome)", hit=9),
    Failpoint("after a flush's commit", "flows/pipeline.py", "lines = sum("),
    Failpoint("before claims are given back", "flows/pipeline.py", "if changes := given_back("),
    Failpoint("before the run is put on record", "flows/loading.py", "record(runtime, run_id, kind, state, started_at"),
    Failpoint("run over, still held to be alive", "flows/alive.py", "path.unlink(", occurrence=0),
)


@dataclass
class Figures:
    """What was done and found; `wrong` must stay empty."""

    kills: Counter[str] = field(default_factory=Counter)  # by phase, or by failpoint
    runs: int = 0
    segments: int = 0
    utterances: int = 0
    fetched_again: int = 0  # answers lost in a kill, and so asked for again
    asked_again: int = 0  # though they were stored
    orphans: int = 0
    compared: int = 0  # stored transcripts compared with the truth, right after a kill
    wrong: list[str] = field(default_factory=list)

    def __add__(self, other: "Figures") -> "Figures":
        """Both together."""
        return Figures(**{name: getattr(self, name) + getattr(other, name) for name in self.__dataclass_fields__})


@contextmanager
def crash_test(folder: Path, *, hours: int, dialogs_per_hour: int, faults: bool = False) -> Iterator["CrashTest"]:
    """A sandbox with `hours` of history to load, and no lake yet in `folder`."""
    folder.mkdir(exist_ok=True)
    limits = ("--transcript-limits", MANY, "--metadata-limits", MANY, "--penalty-seconds", "1")
    with sandbox_process(
        "--days", "1", "--dialogs-per-hour", str(dialogs_per_hour), *limits, *(["--faults"] if faults else [])
    ) as sandbox:
        test = CrashTest(sandbox, folder, hours, is_rough=faults)
        try:
            yield test
        finally:
            test.lake.close()


class CrashTest:
    """See the module."""

    def __init__(self, sandbox: SandboxProcess, folder: Path, hours: int, *, is_rough: bool) -> None:
        self._sandbox, self._folder, self._is_rough = sandbox, folder, is_rough
        # Old enough for everything late to be there, and two windows old for the ingest's horizon.
        self.end = datetime.now(UTC).replace(minute=0, second=0, microsecond=0) - timedelta(hours=3)
        self.start = self.end - timedelta(hours=hours)
        self.env = sandbox.settings(folder) | {
            "RINGCX_TRANSCRIPT_LIMITS": MANY,
            "RINGCX_METADATA_LIMITS": MANY,
            "RINGCX_AUTH_LIMITS": MANY,
            "RINGCX_ADMIN_LIMITS": MANY,
            "RINGCX_PENALTY_SECONDS": "1",
            "RINGCX_START": self.start.isoformat(),
        }
        settings = load_settings(_env_file=None, ringcx_lake=self.env["RINGCX_LAKE"])
        self.lake: Lake = open_lake(settings)
        self.figures = Figures()
        self._truth = dict(self._read_truth())
        self._log: list[LogRecord] = []
        self._answered: dict[Key, int] = {}  # answered in the lake -> length of the log when that was seen

    # Killing

    def kill_at_random(self, rng: random.Random, longest_s: float) -> None:
        """Start one to three runs at once, and kill each at a moment of its own.

        The moments lie within `longest_s` seconds of the start, or within half a second of some request.
        """
        self._fetch_log()
        before = len(self._log)
        processes = [self._start(*self._command(rng)) for _ in range(rng.choice((1, 2, 2, 3)))]
        requests = rng.choice((0, 0, 1, 3, 10, 40, 150, 300))
        self._await_requests(before + requests, processes)
        began = time.monotonic()
        due = [(began + rng.uniform(0.0, 0.5 if requests else longest_s), process) for process in processes]
        due.sort(key=lambda moment: moment[0])
        for moment, process in due:
            with suppress(subprocess.TimeoutExpired):
                process.wait(max(0.0, moment - time.monotonic()))
            phase = self._phase(process, before)
            if self._kill(process):
                self.figures.kills[phase] += 1
        self.look()

    def kill_at(self, point: Failpoint, start: datetime) -> bool:
        """Let an ingest of everything since `start` run into the failpoint; False when it never got there."""
        place = (point.file, point.line, str(point.occurrence), str(point.hit), str(point.after_ms))
        launcher = (sys.executable, "-m", "tests.crash_launcher", *place)
        process = self._start("ingest", program=launcher, RINGCX_START=start.isoformat())
        output = process.communicate(timeout=120)[0]
        was_killed = process.returncode == -signal.SIGKILL
        if was_killed:
            self.figures.kills[point.name] += 1
        elif process.returncode != 0:
            self.figures.wrong.append(f"{point.name}: exit code {process.returncode}: {output[-2000:]}")
        self.look()
        return was_killed

    def _command(self, rng: random.Random) -> tuple[str, ...]:
        commands = [("backfill", *_span(self.start, self.end)), ("ingest",), ("reconcile", "--days", "0.5")]
        commands += [("maintain",)] if self._is_made() else []
        return rng.choices(commands, (4, 3, 2, 2)[: len(commands)])[0]

    def _start(
        self, *command: str, program: Sequence[str] = (str(PROGRAM),), **settings: str
    ) -> "subprocess.Popen[str]":
        self.figures.runs += 1
        return subprocess.Popen(
            [*program, *command],
            env=self.env | {"PYTHONPATH": str(ROOT)} | settings,
            cwd=self._folder,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )

    def _await_requests(self, length: int, processes: Sequence["subprocess.Popen[str]"]) -> None:
        """Until the sandbox's log is so long, or nobody is left to make it longer."""
        while len(self._log) < length and any(process.poll() is None for process in processes):
            time.sleep(0.02)
            self._fetch_log()

    def _kill(self, process: "subprocess.Popen[str]") -> bool:
        """Kill it and its children; False when it had ended by itself, which it may only do well."""
        if process.poll() is None:  # otherwise its number may be somebody else's by now
            os.killpg(process.pid, signal.SIGKILL)
        output = process.communicate(timeout=60)[0]
        if process.returncode == -signal.SIGKILL:
            return True
        allowed = (0, 1) if self._is_rough else (0,)
        if process.returncode not in allowed or "Traceback" in output:
            self.figures.wrong.append(f"a run ended with {process.returncode}: {output[-2000:]}")
        return False

    def _phase(self, process: "subprocess.Popen[str]", before: int) -> str:
        """What it was doing, as far as can be told from outside."""
        holder = Path(self.lake.location.catalog + ".holder")
        with suppress(OSError):
            if holder.read_text("utf-8").startswith(f"process {process.pid} on "):
                return "committing"
        self._fetch_log()
        asked = [record.operation for record in self._log[before:]]
        if not asked:
            return "starting"
        return {"metadata": "polling", "transcript": "fetching"}.get(asked[-1], "logging in")

    # Looking

    def look(self) -> None:
        """Compare what the lake holds now with the truth, and note what has been answered."""
        if not self._is_made():
            return
        states, said = self._read_lake()
        self._compare(states, said)
        self._fetch_log()
        for key, state in states.items():
            if state[0] in ANSWERED:
                self._answered.setdefault(key, len(self._log))

    def _is_made(self) -> bool:
        """Whether somebody got as far as making the tables: all of them, or none."""
        with suppress(LakeUnavailable), self.lake.read() as con:
            made = con.execute("SELECT count(*) FROM duckdb_tables() WHERE database_name = 'lake'").fetchall()[0][0]
            if made not in (0, len(tables.TABLES)):
                self.figures.wrong.append(f"{made} tables were made")
            return bool(made)
        return False

    def _compare(self, states: Mapping[Key, tuple[object, ...]], said: Mapping[Key, Said]) -> None:
        wrong = self.figures.wrong
        wrong += [f"{key}: utterances of a segment that is not stored" for key in said if states[key][0] != "stored"]
        for key, state in states.items():
            wanted, phrases = self._truth.get(key, (None, ()))
            if wanted is None or state[1:] != wanted[1:]:
                wrong.append(f"{key}: {state} in the lake, {wanted} in truth")
            elif state[0] in ANSWERED:
                self.figures.compared += 1
                if state[0] != wanted[0] or said.get(key, ()) != phrases:
                    wrong.append(f"{key}: not what was said, or {state[0]} instead of {wanted[0]}")

    def _read_lake(self) -> tuple[dict[Key, tuple[object, ...]], dict[Key, Said]]:
        """Of the span: each segment's state and facts, each stored transcript's phrases, from one state of the lake."""
        with self.lake.read() as con:
            segments = con.execute(SEGMENTS_SQL, [self.start, self.end]).fetchall()
            utterances = con.execute(UTTERANCES_SQL, [self.start, self.end]).fetchall()
        if len({row[:3] for row in segments}) != len(segments):
            self.figures.wrong.append("a segment is stored twice")
        said: dict[Key, list[tuple[str | None, ...]]] = {}
        for row in utterances:
            said.setdefault(row[:3], []).append(row[3:])
        return {row[:3]: row[3:] for row in segments}, {key: tuple(rows) for key, rows in said.items()}

    def _read_truth(self) -> Iterator[tuple[Key, tuple[tuple[object, ...], Said]]]:
        answer = httpx.get(self._sandbox.base_url + "/_sandbox/truth?as=final", timeout=60)
        first, end = (round(instant.timestamp() * 1000) for instant in (self.start, self.end))
        for row in map(json.loads, answer.text.split("\n")[:-1]):
            if first <= row["endMs"] < end:
                key = (row["subAccountId"], row["dialogId"], row["segmentId"])
                facts = ("hasTranscript", "segmentType", "channelClass", "startMs", "endMs")
                state = (row["state"], *(row[name] for name in facts))
                yield key, (state, tuple(tuple(phrase.get(name) for name in PHRASE) for phrase in row["phrases"]))

    def _fetch_log(self) -> None:
        # Its numbers are from 0 without a gap, so the next is how many we have.
        answer = httpx.get(f"{self._sandbox.base_url}/_sandbox/log?since={len(self._log)}", timeout=60)
        self._log += [LogRecord(**record) for record in answer.json()]

    # Finishing

    def finish(self) -> Figures:
        """Let runs end that nobody kills, and judge: the figures, with all that is wrong."""
        figures = self.figures
        for _ in range(12 if self._is_rough else 1):
            done = run_cli("backfill", *_span(self.start, self.end), env=self.env, cwd=self._folder)
            figures.runs += 1
            if not self._is_rough and done.returncode:
                figures.wrong.append(f"the last run ended with {done.returncode}: {done.stdout}{done.stderr}")
            if not self._skip_the_wait():
                break
        self.look()
        states, said = self._read_lake()
        short = {key: (states.get(key, ("missing",))[0], wanted[0]) for key, (wanted, _) in self._truth.items()}
        figures.wrong += [
            f"{key}: {has} at the end, {want} in truth" for key, (has, want) in short.items() if has != want
        ]
        figures.segments, figures.utterances = len(states), sum(map(len, said.values()))
        self._judge_log()
        self._judge_leftovers()
        verified = run_cli("verify", *_span(self.start, self.end), env=self.env, cwd=self._folder)
        if verified.returncode:
            figures.wrong.append(f"verify: {verified.stdout}{verified.stderr}")
        return figures

    def _skip_the_wait(self) -> int:
        """Make pending transcripts due that wait for their next attempt: how many. What is claimed stays claimed."""
        waiting = self.lake.query(WAITING_SQL, [self.start, self.end])
        if waiting.num_rows and self._is_rough:
            instant = pa.scalar(datetime.now(UTC), INSTANT)
            now = waiting.append_column("next_attempt_at", pa.repeat(instant, waiting.num_rows))
            update = {"next_attempt_at": "s.next_attempt_at"}
            self.lake.commit([Upsert(tables.SEGMENTS, now, update=update, insert=False)])
        return waiting.num_rows

    def _judge_log(self) -> None:
        figures = self.figures
        self._fetch_log()
        asked = [(record, _key(record)) for record in self._log if record.operation == "transcript"]
        again = [key for record, key in asked if record.number >= self._answered.get(key, len(self._log))]
        figures.asked_again = len(again)
        figures.wrong += [f"{key}: asked for again though it was stored" for key in again]
        served = Counter(key for record, key in asked if record.status == 200 and not record.fault)
        figures.fetched_again = sum(times - 1 for key, times in served.items() if self._truth_state(key) != "rejected")

    def _truth_state(self, key: Key) -> object:
        return self._truth[key][0][0] if key in self._truth else None

    def _judge_leftovers(self) -> None:
        """No claim and no run is left behind by the dead; files may be, and are counted."""
        held = self.lake.query("SELECT count(*) AS n FROM segments WHERE claimed_by IS NOT NULL").to_pylist()
        running = self.lake.query("SELECT count(*) AS n FROM runs WHERE state = 'running'").to_pylist()
        if held[0]["n"] or running[0]["n"]:
            self.figures.wrong.append(f"{held[0]['n']} claims and {running[0]['n']} runs of the dead are left")
        state = [path for path in (self._folder / "state").rglob("*") if path.is_file()]
        known = (".lock", ".sqlite", ".sqlite-wal", ".sqlite-shm", "tokens.json")
        odd = [path.name for path in state if not path.name.endswith(known) or path.parent.parent.name == "runs"]
        if odd:
            self.figures.wrong.append(f"left behind: {odd}")
        with self.lake.exclusive() as con:
            files = con.execute(ORPHANS_SQL).fetchall()
        self.figures.orphans = len(files)


PHRASE = ("participantId", "rcUserId", "participantName", "participantType", "timestamp", "message")
SEGMENTS_SQL = """
    SELECT sub_account_id, dialog_id, segment_id, transcript_state, has_transcript, segment_type, channel_class,
        epoch_ms(segment_start_time), epoch_ms(segment_end_time)
    FROM segments WHERE segment_end_time >= ? AND segment_end_time < ?
"""
UTTERANCES_SQL = """
    SELECT sub_account_id, dialog_id, segment_id,
        participant_id, rc_user_id, participant_name, participant_type, epoch_ms(spoken_at)::VARCHAR, message
    FROM utterances SEMI JOIN (FROM segments WHERE segment_end_time >= ? AND segment_end_time < ?) AS s
        USING (sub_account_id, dialog_id, segment_id)
    ORDER BY sub_account_id, dialog_id, segment_id, seq
"""
WAITING_SQL = """
    SELECT sub_account_id, dialog_id, segment_id, segment_end_time FROM segments
    WHERE transcript_state = 'pending' AND claimed_by IS NULL AND segment_end_time >= ? AND segment_end_time < ?
"""
ORPHANS_SQL = "CALL ducklake_delete_orphaned_files('lake', dry_run => true, cleanup_all => true)"


def _span(start: datetime, end: datetime) -> tuple[str, ...]:
    return ("--start", start.isoformat(), "--end", end.isoformat())


def _key(record: LogRecord) -> Key:
    return (record.sub_account_id or "", record.dialog_id or "", record.segment_id or "")
