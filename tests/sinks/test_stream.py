"""Queries whose rows come as they are asked for, and which take no longer than they may."""

from collections.abc import Iterator
from pathlib import Path

import duckdb
import pytest

from sinks import Lake, Location, QueryError, Upsert
from sinks.time_limit import limited
from tests.sinks.tables import SEGMENTS, segments

ENDLESS = "SELECT count(*) FROM range(1000000000000)"


@pytest.fixture(scope="module")
def lake(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lake]:
    """A lake of two rows."""
    folder: Path = tmp_path_factory.mktemp("lake")
    with Lake(Location.parse(str(folder)), [SEGMENTS]) as lake:
        lake.create()
        lake.commit([Upsert(SEGMENTS, segments("a", "b"))])
        yield lake


def exhaust(con: duckdb.DuckDBPyConnection, *statements: str) -> None:
    """Every row of what was executed, or of these statements."""
    for sql in statements:
        con.execute(sql).fetchall()
    while con.fetchmany(10_000):
        pass


def test_rows_are_computed_as_they_are_asked_for(lake: Lake) -> None:
    """Whoever wants three of a trillion waits for three."""
    with lake.stream("SELECT range AS n FROM range(1000000000000)", seconds=30) as result:
        assert result.fetchmany(3) == [(0,), (1,), (2,)]
        assert [(name, str(kind)) for name, kind, *_ in result.description] == [("n", "BIGINT")]
    assert lake.query("FROM segments").num_rows == 2


@pytest.mark.parametrize("sql", [ENDLESS, "SELECT * FROM range(1000000000000)"])
def test_what_takes_too_long_is_stopped_wherever_it_is(lake: Lake, sql: str) -> None:
    """While it computes, and between two rows; the lake can be used afterwards."""
    with pytest.raises(QueryError, match=r"stopped after 0\.1 s"), lake.stream(sql, seconds=0.1) as result:
        exhaust(result)
    assert lake.query("FROM segments").num_rows == 2


def test_only_what_a_query_may_is_streamed(lake: Lake) -> None:
    """The guard stands before this door, too."""
    with pytest.raises(QueryError, match="only reading"), lake.stream("DROP TABLE segments", seconds=30):
        pass


def test_an_interruption_between_two_statements_stops_the_second() -> None:
    """DuckDB forgets one that finds nothing to stop: the limit would then not hold."""
    with duckdb.connect() as con, pytest.raises(QueryError), limited(con, 0):
        exhaust(con, "SELECT 1", ENDLESS)


def test_somebody_elses_interruption_is_not_called_late() -> None:
    """Ctrl-C is another matter."""
    with duckdb.connect() as con, pytest.raises(duckdb.InterruptException), limited(con, 60):
        raise duckdb.InterruptException("Interrupted!")
