"""Changes -> SQL inside one open transaction. Knows no lock, no file and no attach.

An upsert reads before it writes: stored rows are found by their key alone (`near` merely says where to look first),
every row's fate is decided in a temporary table, and only rows that differ are written, by a MERGE whose bounds are the
looked-up values of the partition columns. So the write touches few files, and a wrong guess about time costs only time.
"""
# ruff: noqa: S608 - the names are quoted, and the expressions are the program's own. The statements are put together
# here rather than in .sql files, since every one of them depends on the table's columns.

from collections.abc import Sequence

import duckdb

from sinks.changes import Append, Change, Upsert, Written
from sinks.errors import ChangeError, LakeError
from sinks.schema import Table, listed, quoted, sql_type
from sinks.scratch import Scratch


class Writing:
    """One transaction's changes, and what became of them."""

    def __init__(self, con: duckdb.DuckDBPyConnection) -> None:
        self._con = con
        self._scratch = Scratch(con)
        self._touched: dict[str, list[str]] = {}  # table -> temporary tables of inserted or updated keys
        self.written: dict[str, Written] = {}

    def apply(self, changes: Sequence[Change]) -> None:
        """All upserts, then all appends, each kind in the order given. Leaves nothing but stored rows behind."""
        for change in changes:
            if isinstance(change, Upsert):
                self._add(change.table, self._upsert(change))
        for change in changes:
            if isinstance(change, Append):
                self._add(change.table, self._append(change))
        self._scratch.drop()

    @property
    def tables(self) -> list[str]:
        """The tables that differ from before."""
        return [name for name, written in self.written.items() if written.changed]

    def _add(self, table: Table, written: Written) -> None:
        self.written[table.name] = self.written.get(table.name, Written()) + written

    def _append(self, change: Append) -> Written:
        table, under, columns = change.table, change.under, listed(change.rows.schema.names)
        if table.key:
            raise ChangeError(f"table {table.name} has a key: append would store it twice, upsert instead")
        if change.replace and not under:
            raise ChangeError(f"rows of {table.name} replace nothing: name the table that they are under")
        if under and not set(under.key) <= set(change.rows.schema.names):
            raise ChangeError(f"rows of {table.name} lack the key of {under.name}: {', '.join(under.key)}")
        if not set(change.alike) <= set(change.rows.schema.names):
            raise ChangeError(f"rows of {table.name} lack what is to be alike: {', '.join(change.alike)}")
        if not change.rows.num_rows:
            return Written()
        source = self._scratch.incoming(table, change.rows)
        if under:
            touched = " UNION ALL ".join(f"FROM {keys}" for keys in self._touched.get(under.name, []))
            condition = f"({listed(under.key)}) IN ({touched})" if touched else "false"
            source = self._scratch.make("children", f"FROM {source} WHERE {condition}")
        inserted = self._scratch.count(source)
        removed = (
            self._remove(table, (*under.key, *change.alike), source) if under and change.replace and inserted else 0
        )
        if inserted:
            self._con.execute(f"INSERT INTO {_stored(table)} ({columns}) FROM {source}")
        return Written(inserted=inserted, kept=change.rows.num_rows - inserted, removed=removed)

    def _remove(self, table: Table, same: tuple[str, ...], source: str) -> int:
        """Delete the stored rows that agree with one of `source` in the columns `same`; how many there were."""
        of_parent = f"({listed(same, 't.')}) IN (SELECT DISTINCT {listed(same)} FROM {source})"
        narrow = listed(dict.fromkeys([*same, *table.partition_columns]), "t.")
        places = self._scratch.make("places", f"SELECT {narrow} FROM {_stored(table)} AS t WHERE {of_parent}")
        stored = self._scratch.count(places)
        if stored:
            bounds = self._scratch.bounds(table.partition_columns, places)
            self._con.execute(f"DELETE FROM {_stored(table)} AS t WHERE {bounds} AND {of_parent}")
        return stored

    def _upsert(self, change: Upsert) -> Written:
        table = change.table
        _check(change)
        if not change.rows.num_rows:
            return Written()
        incoming = self._scratch.incoming(table, change.rows)
        if self._scratch.count(incoming, " OR ".join(f"{quoted(name)} IS NULL" for name in table.key)):
            raise ChangeError(f"rows of {table.name} have NULL in their key {table.key}")
        if key := self._scratch.twice(incoming, table.key):
            raise ChangeError(f"rows of {table.name} hold the key {key} twice: deduplicate them first")
        stored = self._stored_rows(change, incoming)
        if key := self._scratch.twice(stored, table.key):
            raise LakeError(
                f"table {table.name}: {key} is stored more than once, by another writer: delete all but one"
            )
        fate = self._fate(change, incoming, stored)
        written = self._count_fates(change, fate)
        if written.changed:
            self._store(change, incoming, fate, written)
        return written

    def _stored_rows(self, change: Upsert, incoming: str) -> str:
        """A temporary table of the stored rows of the incoming keys, wherever they are."""
        table, same_key = change.table, _same_key(change.table)
        here = f"FROM {_stored(table)} AS t SEMI JOIN"
        stored = self._scratch.make("stored", f"FROM {_stored(table)} LIMIT 0")
        wanted = incoming
        if change.near:
            bounds = self._scratch.bounds([change.near], incoming)
            self._con.execute(f"INSERT INTO {stored} SELECT t.* {here} {incoming} AS s ON {same_key} WHERE {bounds}")
            if self._scratch.count(stored) == change.rows.num_rows:
                return stored
            keys = f"SELECT {listed(table.key, 's.')} FROM {incoming} AS s"
            wanted = self._scratch.make("wanted", f"{keys} ANTI JOIN {stored} AS t ON {same_key}")
        # Everywhere: only the columns that tell where a row is; then, whole, from the few files that hold one.
        narrow = listed(dict.fromkeys([*table.key, *table.partition_columns]), "t.")
        places = self._scratch.make("places", f"SELECT {narrow} {here} {wanted} AS s ON {same_key}")
        if self._scratch.count(places):
            bounds = self._scratch.bounds(table.partition_columns, places)
            self._con.execute(f"INSERT INTO {stored} SELECT t.* {here} {places} AS s ON {same_key} WHERE {bounds}")
        return stored

    def _fate(self, change: Upsert, incoming: str, stored: str) -> str:
        """A temporary table of matched keys: where they are, their new values, and updated / unchanged / kept."""
        table, update = change.table, _update(change)
        types = {name: sql_type(table.schema.field(name).type) for name in update}
        columns = [
            f"t.{quoted(name)} AS {quoted('old ' + name)}"
            for name in dict.fromkeys([*update, *table.partition_columns])
        ]
        columns += [f"CAST(({sql}) AS {types[name]}) AS {quoted(name)}" for name, sql in update.items()]
        differs = " OR ".join(f"{quoted(name)} IS DISTINCT FROM {quoted('old ' + name)}" for name in update) or "false"
        return self._scratch.make(
            "fate",
            f"SELECT *, CASE WHEN is_kept THEN 'kept' WHEN {differs} THEN 'updated' ELSE 'unchanged' END AS fate "
            f"FROM (SELECT {listed(table.key, 't.')}, coalesce(({change.keep or 'false'}), false) AS is_kept, "
            f"{', '.join(columns)} FROM {incoming} AS s JOIN {stored} AS t ON {_same_key(table)})",
        )

    def _count_fates(self, change: Upsert, fate: str) -> Written:
        fates = dict(self._con.execute(f"SELECT fate, count(*) FROM {fate} GROUP BY fate").fetchall())
        new = change.rows.num_rows - sum(fates.values())
        return Written(
            inserted=new if change.insert else 0,
            updated=fates.get("updated", 0),
            unchanged=fates.get("unchanged", 0),
            kept=fates.get("kept", 0),
            missing=0 if change.insert else new,
        )

    def _store(self, change: Upsert, incoming: str, fate: str, written: Written) -> None:
        """Write the rows that differ, and remember their keys for their children."""
        table, update, same_key = change.table, _update(change), _same_key(change.table)
        given = change.rows.schema.names
        query = f"SELECT {listed([*table.key, *update])}, false AS is_new FROM {fate} WHERE fate = 'updated'"
        if change.insert:
            new = (
                f"SELECT {listed(given, 's.')}, true AS is_new FROM {incoming} AS s ANTI JOIN {fate} AS t ON {same_key}"
            )
            query += f" UNION ALL BY NAME {new}"
        source = self._scratch.make("source", query)
        touched = self._scratch.make("touched", f"SELECT {listed(table.key)} FROM {source}")
        self._touched.setdefault(table.name, []).append(touched)
        if written.updated:
            places = {f"old {name}": name for name in table.partition_columns}
            renamed = ", ".join(f"{quoted(old)} AS {quoted(name)}" for old, name in places.items()) or "1"
            changed = self._scratch.make("changed", f"SELECT {renamed} FROM {fate} WHERE fate = 'updated'")
            sql = (
                f"MERGE INTO {_stored(table)} AS t USING {source} AS s "
                f"ON {same_key} AND {self._scratch.bounds(table.partition_columns, changed)} "
                f"WHEN MATCHED THEN UPDATE SET {', '.join(f'{quoted(name)} = s.{quoted(name)}' for name in update)} "
            )
            if change.insert:
                sql += f"WHEN NOT MATCHED AND s.is_new THEN INSERT ({listed(given)}) VALUES ({listed(given, 's.')})"
        else:
            sql = f"INSERT INTO {_stored(table)} ({listed(given)}) SELECT {listed(given)} FROM {source}"
        done = self._con.execute(sql).fetchone()
        if done is None or done[0] != written.changed:
            raise LakeError(
                f"table {table.name}: {done} rows written instead of {written.changed}; nothing is committed"
            )


def _check(change: Upsert) -> None:
    """ChangeError for what can be seen without looking at a row."""
    table, names = change.table, change.rows.schema.names
    if not table.key:
        raise ChangeError(f"table {table.name} has no key: append to it")
    if not set(table.key) <= set(names):
        raise ChangeError(f"rows of {table.name} lack the key {table.key}")
    wrong = [name for name in change.update or () if name in table.key or name not in table.schema.names]
    if wrong:
        raise ChangeError(f"update of {table.name} names {wrong}: keys and undeclared columns cannot be updated")
    if change.near and change.near not in names:
        raise ChangeError(f"rows of {table.name} have no column {change.near!r} to look near")


def _update(change: Upsert) -> dict[str, str]:
    """Column -> SQL, with the default spelled out."""
    if change.update is not None:
        return dict(change.update)
    return {name: f"s.{quoted(name)}" for name in change.rows.schema.names if name not in change.table.key}


def _stored(table: Table) -> str:
    return f"lake.main.{quoted(table.name)}"


def _same_key(table: Table) -> str:
    """SQL that joins t and s by key.

    Texts go through `|| ''`, which changes nothing but keeps DuckDB from handing the smallest and largest incoming key
    to DuckLake as constants: one with a NUL character breaks DuckLake's catalog query.
    """
    parts = []
    for name in table.key:
        is_text = sql_type(table.schema.field(name).type) == "VARCHAR"
        t, s = (f"({side}.{quoted(name)} || '')" if is_text else f"{side}.{quoted(name)}" for side in "ts")
        parts.append(f"{t} = {s}")
    return " AND ".join(parts)
