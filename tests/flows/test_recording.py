"""What a run says of itself."""

from collections import Counter
from datetime import UTC, datetime, timedelta

import pytest

from flows.loading import Report
from flows.recording import markdown, one_line, percent
from flows.tally import Tally
from flows.windows import Window

NOON = datetime(2026, 9, 1, 12, tzinfo=UTC)


def report(tally: Tally) -> Report:
    covered = {"99999999": Window(NOON - timedelta(days=1), NOON)}
    return Report("run-1", "ingest", NOON, NOON + timedelta(seconds=42), tally, 7, covered)


def test_the_page_shows_where_everything_that_was_read_went() -> None:
    """It is what people look at to see whether a run was a good one."""
    tally = Tally(segments_read=12, segments_loaded=9, segments_skipped=2, segments_quarantined=1, transcripts_stored=5)
    page = markdown(report(tally))
    assert "| segments | 12 | 9 | 2 | 1 |" in page
    assert "**5** transcripts stored, **7** still to come" in page
    assert "| 99999999 | 2026-08-31 12:00 | 2026-09-01 12:00 |" in page


def test_a_good_run_says_nothing_of_trouble() -> None:
    """An empty heading would be looked at every time."""
    page = markdown(report(Tally()))
    assert "Did not come" not in page
    assert "New fields" not in page


def test_the_page_names_what_did_not_come_and_what_is_new() -> None:
    """Both are for someone to act on."""
    tally = Tally(troubles=["sub-account 1: denied"], unknown_fields=Counter({"segment.mood": 2}))
    page = markdown(report(tally))
    assert "### Did not come\n\n- sub-account 1: denied" in page
    assert "`segment.mood`" in page


def test_the_log_line_accounts_for_everything_too() -> None:
    """Logs outlive the server's database."""
    line = one_line(report(Tally(utterances_read=4, utterances_loaded=3, utterances_skipped=1)))
    assert "\n" not in line
    assert "utterances_read=4 loaded=3 skipped=1 quarantined=0" in line


@pytest.mark.parametrize(
    ("tally", "shown"),
    [
        (Tally(), 0),
        (Tally(requests_planned=4, requests_done=1), 25),
        (Tally(requests_planned=4, requests_done=4, flagged=12, fetched=4), 50),
        (Tally(requests_planned=1, requests_done=1, flagged=2, fetched=9), 100),
    ],
)
def test_progress_counts_requests_done_of_those_known_to_be_wanted(tally: Tally, shown: float) -> None:
    """Transcripts of earlier runs are fetched too, so there may be more of them than were flagged."""
    assert percent(tally) == shown
