"""What a commit is made of. Pure declarations; `sinks.writing` turns them into SQL.

In the SQL texts, `t` is the stored row and `s` the incoming one.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import pyarrow as pa

from sinks.schema import Table


@dataclass(frozen=True, slots=True)
class Upsert:
    """Rows that replace or join the stored rows of the same key; at most one row a key.

    `rows` may lack columns that are not keys: they keep their stored value, and are NULL in a new row.
    """

    table: Table
    rows: pa.Table
    update: Mapping[str, str] | None = None  # column -> SQL over t and s; None: every column of rows that is not a key
    insert: bool = True  # False: keys not stored yet are counted as missing, not inserted
    keep: str | None = None  # SQL over t and s: matched rows for which it holds stay exactly as they are
    near: str | None = None  # a time or number column of rows: where to look first. Never changes the result


@dataclass(frozen=True, slots=True)
class Append:
    """Rows that are added as they are.

    With `under`, only those whose parent key was inserted or updated by an `Upsert` on `under` in the same commit; and
    with `replace`, in the place of the rows that were stored for these parents, as far as they are `alike`: agree with
    one of the new rows in these columns, too.
    """

    table: Table
    rows: pa.Table
    under: Table | None = None
    replace: bool = False
    alike: tuple[str, ...] = ()


Change = Upsert | Append


@dataclass(frozen=True, slots=True)
class Written:
    """What became of the rows given for one table; they always add up. Of an `Append`, `kept` rows were left out.

    `removed` counts stored rows that an `Append` replaced.
    """

    inserted: int = 0
    updated: int = 0
    unchanged: int = 0
    kept: int = 0
    missing: int = 0
    removed: int = 0

    def __add__(self, other: "Written") -> "Written":
        """Both together: a table may occur in several changes of one commit."""
        return Written(
            self.inserted + other.inserted,
            self.updated + other.updated,
            self.unchanged + other.unchanged,
            self.kept + other.kept,
            self.missing + other.missing,
            self.removed + other.removed,
        )

    @property
    def changed(self) -> int:
        """Rows that are stored differently now."""
        return self.inserted + self.updated + self.removed
