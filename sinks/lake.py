"""A lake: create, commit, read. One object per process and place; safe to share between threads."""

import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from types import TracebackType
from typing import Self

import duckdb
import pyarrow as pa

from sinks import durable, engine, guard, layout
from sinks.changes import Change, Written
from sinks.errors import ChangeError, LakeUnavailable, QueryError
from sinks.layout import Layout
from sinks.location import Location
from sinks.lock import CheckHeld, write_lock
from sinks.schema import Table, literal
from sinks.time_limit import limited
from sinks.translate import translated
from sinks.writing import Writing

# DuckLake keeps the statistics of all tables for every snapshot that a connection ever saw, 0.2 MB each time in a small
# lake and more in a large one, for as long as the connection lives. Opening it anew takes 0.05 s.
RENEW_AFTER = 200


class Lake:
    """Durable tables at one location. Nothing is opened before it is needed."""

    def __init__(
        self,
        location: Location,
        tables: Sequence[Table],
        views: Mapping[str, str] | None = None,
        *,
        macros: Mapping[str, str] | None = None,
        version: int = 1,
        upgrades: Mapping[int, str] | None = None,
        lock_timeout_s: float = 60.0,
    ) -> None:
        self.location = location
        self.tables = {table.name: table for table in tables}
        self._layout = Layout(tables, views or {}, macros or {}, version, upgrades or {})
        self._lock_timeout_s = lock_timeout_s
        self._writer: duckdb.DuckDBPyConnection | None = None
        self._reader: duckdb.DuckDBPyConnection | None = None
        self._commits = self._reads = 0  # of the present connections
        self._writing = threading.Lock()
        self._reading = threading.Lock()

    def create(self) -> None:
        """Make the lake, or bring its tables, options and views up to these declarations."""
        layout.prepare_folders(self.location)
        with self._exclusive(create=True) as (con, _):
            layout.lay_out(con, self.location, self._layout)

    def commit(self, changes: Sequence[Change], message: str = "") -> dict[str, Written]:
        """All changes in one transaction, or none: how many rows of each table became what.

        Committing the same upserts again changes nothing, and a commit that changes nothing leaves no trace. Any
        exception, KeyboardInterrupt included, rolls everything back.
        """
        undeclared = {change.table.name for change in changes if self.tables.get(change.table.name) != change.table}
        if undeclared:
            raise ChangeError(f"changes of {sorted(undeclared)}, which this lake was not given as declared")
        with self._exclusive() as (con, check_held):
            since = durable.now()
            con.execute("BEGIN")
            writing = Writing(con)
            writing.apply(changes)
            if not writing.tables:
                con.execute("ROLLBACK")
                return writing.written
            if message:
                con.execute(f"CALL lake.set_commit_message('', {literal(message)})")
            durable.flush_new_files(self.location, [self.tables[name] for name in writing.tables], since)
            check_held()
            con.execute("COMMIT")
            self._commits += 1
            return writing.written

    @contextmanager
    def exclusive(self) -> Iterator[duckdb.DuckDBPyConnection]:
        """The writing connection under the write lock, outside any transaction: for maintenance."""
        with self._exclusive() as (con, _):
            yield con

    @contextmanager
    def read(self) -> Iterator[duckdb.DuckDBPyConnection]:
        """A connection that sees one state of the lake for the whole block, tables and views by their bare names.

        It is for the program's own SQL: it cannot change a table, but a hostile statement could still write files into
        the data folder. SQL from outside belongs in `query`.
        """
        try:
            with translated(self.location, sql=QueryError), self._read_cursor() as con:
                try:
                    con.execute("USE lake")
                    con.execute("BEGIN")
                    yield con
                except BaseException:
                    con.interrupt()  # Ctrl-C leaves DuckDB computing, and the end of the block would wait for it
                    raise
        except LakeUnavailable:
            self._drop_reader()  # a lost connection is not used again
            raise

    @contextmanager
    def read_into_files(self) -> Iterator[duckdb.DuckDBPyConnection]:
        """A connection that reads the lake and may write files and other databases, outside any transaction.

        For the program's own SQL only.
        """
        with translated(self.location, sql=QueryError):
            self._check_exists()
            with closing(self._open(read_only=True, confined=False)) as con:
                try:
                    yield con
                except BaseException:
                    con.interrupt()
                    raise

    def query(self, sql: str, parameters: Sequence[object] | Mapping[str, object] | None = None) -> pa.Table:
        """The rows of one SELECT, from anybody: see `sinks.guard` for what is refused with QueryError."""
        with self.read() as con:
            guard.check(con, sql)
            return con.execute(sql, parameters).to_arrow_table()

    @contextmanager
    def stream(
        self, sql: str, parameters: Sequence[object] | Mapping[str, object] | None = None, *, seconds: float
    ) -> Iterator[duckdb.DuckDBPyConnection]:
        """As `query`, but rows come as they are asked for (`description`, `fetchmany`), for so many seconds in all."""
        with self.read() as con, limited(con, seconds):
            guard.check(con, sql)
            yield con.execute(sql, parameters)

    def damaged_files(self) -> list[str]:
        """The files of the present state that are missing or not as long as the catalog says; looks at none on S3."""
        with self.read() as con:
            return [] if self.location.is_on_s3 else sorted(engine.damaged_files(con, self.tables))

    def close(self) -> None:
        """Let go of everything; the lake may be used again."""
        with self._writing:
            self._drop_writer()
        self._drop_reader()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    @contextmanager
    def _exclusive(self, *, create: bool = False) -> Iterator[tuple[duckdb.DuckDBPyConnection, CheckHeld]]:
        if not create:
            self._check_exists()  # before the lock, which would leave its file there
        with self._writing, write_lock(self.location, self._lock_timeout_s) as check_held:
            con = self._write_connection(create=create)
            try:
                with translated(self.location, sql=ChangeError):
                    yield con, check_held
            except BaseException as error:
                self._roll_back(con, error)
                raise

    def _roll_back(self, con: duckdb.DuckDBPyConnection, error: BaseException) -> None:
        con.interrupt()  # Ctrl-C leaves DuckDB computing, and a ROLLBACK would wait for it
        with suppress(duckdb.Error):  # there may be no transaction
            con.execute("ROLLBACK")
        if not isinstance(error, ChangeError):  # the connection itself may be broken, or in an unknown state
            self._drop_writer()

    def _drop_writer(self) -> None:
        if self._writer is not None:
            self._writer.close()
            self._writer = None

    def _drop_reader(self) -> None:
        with self._reading:
            if self._reader is not None:
                self._reader.close()
                self._reader = None

    def _write_connection(self, *, create: bool) -> duckdb.DuckDBPyConnection:
        if self._commits >= RENEW_AFTER:
            self._drop_writer()
        if self._writer is None:
            self._writer, self._commits = self._open(read_only=False, create=create), 0
        return self._writer

    def _read_cursor(self) -> duckdb.DuckDBPyConnection:
        """A cursor of the reading connection, for one read."""
        with self._reading:
            if self._reads >= RENEW_AFTER:
                self._reader = None  # not closed: reads in progress keep it, and the last of them lets it go
            if self._reader is None:
                self._check_exists()
                self._reader, self._reads = self._open(read_only=True), 0
            self._reads += 1
            return self._reader.cursor()

    def _open(self, *, read_only: bool, create: bool = False, confined: bool = True) -> duckdb.DuckDBPyConnection:
        with translated(self.location, sql=LakeUnavailable):
            con = engine.connect(self.location)
            try:
                if create and not engine.is_made(con, self.location):
                    layout.check_unused(con, self.location)  # before there is a catalog, which would look like a lake
                engine.attach(con, self.location, read_only=read_only, create=create)
                if not create:
                    layout.check_laid_out(con, self._layout.version, self.location, to_write=not read_only)
                if read_only and confined:
                    guard.confine(con, self.location)
            except BaseException:
                con.close()
                raise
            return con

    def _check_exists(self) -> None:
        """LakeUnavailable where a SQLite catalog is missing, or an empty file, which is what a mistyped path leaves."""
        if self.location.kind == "postgresql":
            return
        try:
            size = Path(self.location.catalog).stat().st_size
        except (FileNotFoundError, NotADirectoryError):
            size = 0
        except OSError as error:
            raise LakeUnavailable(
                f"cannot look at {self.location.catalog}: {error.strerror}; check permissions"
            ) from error
        if not size:
            raise LakeUnavailable(
                f"there is no lake at {self.location.catalog} yet: load into it first, or set the right place"
            )
