"""What can go wrong in `sinks`, grouped by what the caller does about it.

    LakeError
    |-- LocationError     fix the setting it names
    |-- LakeUnavailable   the catalog or the files cannot be reached, read or written: repair it, then run again
    |-- LakeBusy          another writer was quicker: the same commit may simply be tried again
    |-- LakeTooNew        a newer release wrote this lake: upgrade
    |-- ChangeError       the changes themselves are wrong: a bug in the caller; trying again does not help
    |-- QueryError        the reader's SQL is wrong or not allowed: show the message
    |-- SnapshotGone      the past that is asked for is kept no more: load the whole table again
    `-- ExportError       where an export goes is not ours, or cannot be written: choose or repair it; nothing is lost

Nothing was committed when one of these leaves `Lake.commit`. No error carries a password or a key.
"""


class LakeError(Exception):
    """Anything that `sinks` raises about a lake."""


class LocationError(LakeError):
    """A setting that does not say where the lake is."""


class LakeUnavailable(LakeError):
    """The lake is missing, unreachable, damaged, read-only or out of room."""


class LakeBusy(LakeError):
    """The write lock was not free in time, or a writer without the lock came between."""


class LakeTooNew(LakeError):
    """The tables were laid out by a newer release than this one."""


class ChangeError(LakeError):
    """Changes that cannot be committed: two rows of one key, a missing key, an unknown column, a wrong type."""


class QueryError(LakeError):
    """SQL that does not run, in DuckDB's own words, or that a reader may not run."""


class SnapshotGone(LakeError):
    """A snapshot that maintenance has expired, or that never was."""


class ExportError(LakeError):
    """A place that holds something else than an export, or that cannot be written."""
