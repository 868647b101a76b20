"""The report: its figures of a small lake told here, stated by hand; its page in a real browser."""

import re
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from html.parser import HTMLParser
from pathlib import Path

import pyarrow as pa
import pytest
from selenium.webdriver import Chrome

from connectors.limits import Quota, Quotas, parse_limits
from flows import tables
from flows.planning import Grid
from flows.report.figures import Disposition, Figures, Talker, Volume, read_figures
from flows.report.page import page, write
from flows.report.polled_hours import Gap, calendar
from flows.runtime import lake_at
from flows.windows import Window
from sinks.changes import Append, Upsert
from sinks.lake import Lake
from sinks.location import Location
from sinks.schema import Table
from tests.browser import complaints, driver, look, photograph, requested
from tests.processes import ROOT, clean_environment, run_cli

NOW = datetime(2026, 8, 2, 12, 7, tzinfo=UTC)
NOON = NOW.replace(minute=0)
QUARTER, HOUR = timedelta(minutes=15), timedelta(hours=1)
GRID = Grid(QUARTER, timedelta(minutes=5), HOUR)
EVIL = "<script>alert(1)</script><img src='https://evil.example/x' onerror=alert(2)>"
LIMITS = {"transcripts": parse_limits("120/60"), "metadata": parse_limits("3/60,9/900")}

__all__ = ["driver"]


def stored(table: Table, rows: list[dict[str, object]]) -> pa.Table:
    """Rows of a table, of the columns that they name."""
    names = {name for row in rows for name in row}
    return pa.Table.from_pylist(rows, pa.schema([field for field in table.schema if field.name in names]))


def window(account: str, start: datetime) -> dict[str, object]:
    """A polled quarter of an hour."""
    return {"sub_account_id": account, "window_start": start, "window_end": start + QUARTER, "polled_at": NOW}


def segment(dialog: str, start: datetime, **more: object) -> dict[str, object]:
    """A minute's segment with a transcript."""
    return {
        "sub_account_id": "1",
        "dialog_id": dialog,
        "segment_id": "s",
        "segment_type": "AGENT",
        "channel_type": "VOICE",
        "segment_participant_id": "ann",
        "dialog_start_time": start,
        "segment_start_time": start,
        "segment_end_time": start + timedelta(minutes=1),
        "has_transcript": True,
        "transcript_state": "stored",
        "transcript_day": date(2026, 8, 1),
        **more,
    }


def said(dialog: str, seq: int, speaker: str, words: int) -> dict[str, object]:
    """An utterance of so many words, yesterday."""
    key = {"sub_account_id": "1", "dialog_id": dialog, "segment_id": "s", "seq": seq, "spoken_at": NOON}
    key |= {"source": "ringcx"}
    name = EVIL if speaker == "agent" else None
    who = {"participant_type": speaker, "participant_name": name, "message": "word " * words, "words": words}
    return key | who | {"segment_day": date(2026, 8, 1)}


def run(name: str, state: str, began: datetime, error: str | None = None) -> dict[str, object]:
    """A run that asked for 3 transcripts and had a 404."""
    spent = '{"transcripts": {"200": 2, "404": 1}}'
    return {"run_id": name, "kind": "ingest", "state": state, "started_at": began, "requests": spent, "error": error}


# Sub-account 1 is polled from 22:00 the day before, without 09:15 to 09:45; sub-account 2 from 10:00 to 11:00.
ONE = [NOON - 14 * HOUR + i * QUARTER for i in range(14 * 4)]
WINDOWS = [window("1", at) for at in ONE if at not in (NOON - 11 * QUARTER, NOON - 10 * QUARTER)]
WINDOWS += [window("2", NOON - 2 * HOUR + i * QUARTER) for i in range(4)]
YESTERDAY = NOON - timedelta(days=1)
SEGMENTS = [
    segment("a", YESTERDAY, agent_disposition="Solved", system_disposition="ANSWER"),
    segment("b", YESTERDAY + 10 * QUARTER, agent_disposition="Solved", channel_type=EVIL),
    segment("c", NOON - 3 * HOUR, agent_disposition=EVIL, transcript_state="pending"),
    segment("d", NOON - 3 * HOUR, transcript_state="expired"),
    segment("e", NOON - timedelta(days=9), agent_disposition="Long ago"),  # before the period
]
SPOKEN = [said("a", 0, "agent", 6), said("a", 1, "contact", 2), said("b", 0, "contact", 2), said("b", 1, "agent", 3)]
RUNS = [
    run("r1", "done", NOW - timedelta(minutes=50)),
    run("r2", "failed", NOW - timedelta(minutes=5), f"403 {EVIL}"),
    run("r3", "done", NOW - timedelta(hours=2)),
]
PROBLEMS = [{"item_id": "q", "kind": "segment", "reason": EVIL, "quarantined_at": NOW}]


@pytest.fixture(scope="module")
def lake(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lake]:
    """A lake that holds what is told above."""
    with lake_at(Location.parse(str(tmp_path_factory.mktemp("report")), None)) as made:
        made.create()
        made.commit(
            [
                Upsert(tables.WINDOWS, stored(tables.WINDOWS, WINDOWS)),
                Upsert(tables.SEGMENTS, stored(tables.SEGMENTS, SEGMENTS)),
                Append(tables.UTTERANCES, pa.Table.from_pylist(SPOKEN, tables.UTTERANCES.schema)),
                Upsert(tables.RUNS, stored(tables.RUNS, RUNS)),
                Upsert(tables.QUARANTINE, stored(tables.QUARANTINE, PROBLEMS)),
            ]
        )
        yield made


@pytest.fixture(scope="module")
def quotas(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Quotas]:
    """Quotas of which one place is taken."""
    quotas = Quotas(tmp_path_factory.mktemp("quotas"), LIMITS, NOW.timestamp)
    quotas["transcripts"].take()
    yield quotas
    quotas.close()


@pytest.fixture(scope="module")
def figures(lake: Lake, quotas: Quotas) -> Figures:
    """Those of two days."""
    return read_figures(lake, quotas, GRID, NOW, 2)


def test_hours_are_told_apart_that_were_polled_in_part_not_at_all_or_are_not_due() -> None:
    """What a calendar is looked at for; the history of each sub-account begins with its own first window."""
    covered = {"1": [Window(NOON - 3 * HOUR, NOON - 2 * HOUR), Window(NOON - HOUR + QUARTER, NOON)]}
    covered["2"] = [Window(NOON - HOUR, NOON)]
    found = calendar(covered, [NOON.date()], NOON, QUARTER)
    states = [hour.state for hour in found.days[0].hours]
    assert states == ["before"] * 9 + ["polled", "gap", "part"] + ["later"] * 12
    assert found.gaps == (Gap("1", Window(NOON - 2 * HOUR, NOON - HOUR + QUARTER)),)
    assert (found.due, found.absent) == (4 * HOUR, 5 * QUARTER)


def test_what_is_due_and_was_not_polled_is_a_gap(figures: Figures) -> None:
    """In the middle, and at the end of a sub-account that fell behind; a pass may be one window late."""
    assert figures.due_until == NOON - QUARTER
    middle, end = Window(NOON - 11 * QUARTER, NOON - 9 * QUARTER), Window(NOON - HOUR, NOON - QUARTER)
    assert figures.calendar.gaps == (Gap("1", middle), Gap("2", end))
    assert [hour.state for hour in figures.calendar.days[0].hours] == ["before"] * 22 + ["polled"] * 2
    assert [hour.state for hour in figures.calendar.days[1].hours[8:13]] == [
        "polled",
        "part",
        "polled",
        "part",
        "later",
    ]


def test_each_conversation_counts_once_where_it_began(figures: Figures) -> None:
    """And those before the period not at all."""
    assert figures.volumes == (Volume(9, "VOICE", 2), Volume(12, "VOICE", 1), Volume(14, EVIL, 1))
    assert (figures.conversations, figures.segments, figures.flagged, figures.transcripts) == (4, 4, 4, 2)


def test_dispositions_by_who_gave_them_and_the_most_frequent_first(figures: Figures) -> None:
    """Shares are of the segments that have one."""
    assert figures.dispositions == (
        Disposition("agent", "Solved", 2, 2 / 3),
        Disposition("agent", EVIL, 1, 1 / 3),
        Disposition("system", "ANSWER", 1, 1.0),
    )


def test_who_talks(figures: Figures) -> None:
    """9 of the 13 words."""
    assert figures.talkers == (Talker("1", "ann", EVIL, 2, 9, 4),)
    assert figures.talkers[0].share == 9 / 13


def test_what_is_still_to_come_and_what_will_not(figures: Figures) -> None:
    """As `status` has it, and of the same moment."""
    assert figures.status.pending == {"under an hour": 0, "under a day": 1, "under a week": 0, "older": 0}
    assert (figures.status.expired, figures.status.quarantined, figures.status.utterances) == (1, 1, 4)
    assert [(a.sub_account_id, a.watermark) for a in figures.status.sub_accounts] == [("1", NOON), ("2", NOON - HOUR)]


def test_requests_of_the_last_hour_and_the_limits_now(figures: Figures) -> None:
    """Two runs began in it; one place is taken at this moment."""
    assert figures.requests == {"transcripts": {"200": 4, "404": 2}}
    assert [(q.used, q.requests) for q in figures.status.quotas if q.group == "transcripts"] == [(1, 120)]
    assert figures.run_states == {"done": 2, "failed": 1}


class Busy(Quotas):
    """Quotas whose reader finds, when it is done, that somebody has stored another conversation."""

    lake: Lake

    def __getitem__(self, group: str) -> Quota:
        """A group's quota, as ever."""
        late = stored(tables.SEGMENTS, [segment("late", NOON - HOUR)])
        self.lake.commit([Upsert(tables.SEGMENTS, late)])
        return super().__getitem__(group)


def test_all_figures_are_of_one_state_of_the_lake(lake: Lake, tmp_path: Path) -> None:
    """What is committed while they are read is in none of them: the totals agree."""
    busy = Busy(tmp_path, LIMITS, NOW.timestamp)
    busy.lake = lake
    found = read_figures(lake, busy, GRID, NOW, 2)
    busy.close()
    assert (found.conversations, found.segments) == (4, 4)
    assert lake.query("SELECT count(*) AS n FROM segments").to_pylist() == [{"n": 6}]


class Seen(HTMLParser):
    """The elements and attributes of a page, and its text."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.attributes: set[str] = set()
        self.said = ""
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Remember it."""
        self.tags.add(tag)
        self.attributes |= {name for name, _ in attrs}

    def handle_data(self, data: str) -> None:
        """Remember it."""
        self.said += data


def test_what_others_wrote_is_text_and_never_markup(figures: Figures) -> None:
    """Dispositions, names, channels and errors come from people and from the platform."""
    seen = Seen(page(figures))
    assert not seen.tags & {"script", "img", "iframe", "object", "a"}
    assert not [name for name in seen.attributes if name.startswith("on") or name in {"src", "xlink:href"}]
    assert seen.said.count(EVIL) >= 5


def test_a_lake_with_nothing_in_it_says_what_to_do(quotas: Quotas, tmp_path: Path) -> None:
    """Somebody's first report."""
    with lake_at(Location.parse(str(tmp_path), None)) as empty:
        empty.create()
        text = page(read_figures(empty, quotas, GRID, NOW, 28))
    assert "Nothing here yet" in text
    assert "ringcx-etl ingest" in text


def test_the_file_is_there_whole_or_as_it_was(tmp_path: Path) -> None:
    """Somebody may have it open, or a job may copy it, while it is written anew."""
    file = tmp_path / "report.html"
    write("first", file)
    with pytest.raises(UnicodeEncodeError):
        write("second \ud800", file)
    assert [(each.name, each.read_text()) for each in tmp_path.iterdir()] == [("report.html", "first")]


def test_the_command_writes_the_file(lake: Lake, tmp_path: Path) -> None:
    """With its own clock, by which everything here is long ago."""
    place = str(Path(lake.location.catalog).parent)
    env = clean_environment() | {"RINGCX_LAKE": place, "RINGCX_STATE_PATH": str(tmp_path / "state")}
    done = run_cli("report", "--output", "r.html", "--days", "3", env=env, cwd=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    assert "r.html" in done.stdout
    assert "3 days" in (tmp_path / "r.html").read_text()


def test_the_wheel_holds_the_templates(tmp_path: Path) -> None:
    """Where the checkout is not, a report can be made as well."""
    command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(tmp_path)]
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True, timeout=60)
    names = zipfile.ZipFile(next(tmp_path.glob("*.whl"))).namelist()
    assert {"flows/report/templates/report.html", "flows/report/templates/report.css", "flows/views/turns.sql"} <= set(
        names
    )


@pytest.fixture(scope="module")
def opened(figures: Figures, tmp_path_factory: pytest.TempPathFactory) -> str:
    """The page's address, from disk."""
    file = tmp_path_factory.mktemp("page") / "report.html"
    write(page(figures), file)
    return file.as_uri()


def test_the_page_asks_for_nothing_and_has_nothing_to_complain_of(opened: str, driver: Chrome) -> None:
    """It is mailed around, and opened where there is no network."""
    earlier = requested(driver) + complaints(driver)
    driver.get(opened)
    assert (requested(driver), complaints(driver)) == ([], []), earlier
    assert driver.title.startswith("Conversations from RingCX")


@pytest.mark.parametrize("width", [390, 1200])
def test_the_page_suits_the_reader_dark_or_light_wide_or_narrow(
    opened: str, driver: Chrome, width: int, tmp_path: Path
) -> None:
    """No sideways scrolling of the whole; paper and ink change places, in the charts as well."""
    ink = "return getComputedStyle(document.querySelector(arguments[0]))[arguments[1]]"
    colours = {}
    for scheme in ("light", "dark"):
        look(driver, width=width, scheme=scheme)
        driver.get(opened)
        wide = driver.execute_script("return document.documentElement.scrollWidth")
        assert wide <= width
        photograph(driver, tmp_path / f"{scheme}.png")
        pairs = (("body", "backgroundColor"), (".hours .axis.x text", "fill"), (".calendar .later", "backgroundColor"))
        colours[scheme] = [driver.execute_script(ink, *pair) for pair in pairs]
    paper, label, later = zip(colours["light"], colours["dark"], strict=True)
    assert (brightness(paper[0]) > 200, brightness(paper[1]) < 60) == (True, True)
    assert (brightness(label[0]) < 60, brightness(label[1]) > 200) == (True, True)
    assert later[0] != later[1]


def brightness(colour: str) -> float:
    """Of `rgb(r, g, b)`, 0 to 255."""
    return sum(map(int, re.findall(r"\d+", colour)[:3])) / 3
