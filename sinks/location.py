"""Where a lake lives: a catalog (SQLite file or PostgreSQL database) and the place of its Parquet files."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import psycopg
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from sinks.errors import LocationError

_SCHEMES = "a folder, sqlite:/path/to/file.sqlite or postgresql://user:password@host/database"


@dataclass(frozen=True, slots=True, repr=False)
class Location:
    """One lake's place: absolute paths or URLs. Its repr and str hide the password."""

    kind: Literal["sqlite", "postgresql"]
    catalog: str  # file path, or libpq keywords without the password
    data_path: str  # folder, or s3://bucket/prefix; no slash at the end
    password: str = ""

    @classmethod
    def parse(cls, lake: str, data_path: str | None = None) -> "Location":
        """The place that two settings name; LocationError says which of them is wrong and what it may be."""
        lake = lake.strip()
        if not lake:
            raise LocationError(f"no lake is set: give {_SCHEMES}")
        scheme = lake.partition(":")[0].lower()
        if scheme in {"postgresql", "postgres"}:
            return cls._postgresql(lake, data_path)
        if scheme == "sqlite":
            catalog = _path(lake.partition(":")[2], "lake")
        elif "://" in lake or "dbname=" in lake:  # not shown: it may hold a password
            raise LocationError(f"lake is of a kind we do not know: give {_SCHEMES}")
        else:
            folder = _path(lake, "lake")
            if folder.is_file():
                raise LocationError(f"lake {lake!r} is a file: name its folder, or sqlite:{folder} if it is a catalog")
            catalog = folder / "catalog.sqlite"
        if catalog.is_dir():
            raise LocationError(f"lake {lake!r} is a folder: name the catalog file in it, or leave out `sqlite:`")
        return cls("sqlite", str(catalog), _data(data_path, default=catalog.parent / "data"))

    @classmethod
    def _postgresql(cls, lake: str, data_path: str | None) -> "Location":
        try:
            options = {name: str(value) for name, value in conninfo_to_dict(lake).items()}
        except psycopg.Error:  # its text may quote the password
            raise LocationError(f"lake is not an address that PostgreSQL understands: give {_SCHEMES}") from None
        password = options.pop("password", "")
        bare = make_conninfo("", **options)
        if "dbname" not in options:
            raise LocationError(f"lake {bare!r} names no database: give {_SCHEMES}")
        if not data_path:
            raise LocationError(
                f"lake {bare!r} holds only the catalog: set the data path, a folder or s3://bucket/prefix"
            )
        return cls("postgresql", bare, _data(data_path, default=None), password)

    @property
    def is_on_s3(self) -> bool:
        """Whether the Parquet files are in an object store."""
        return self.data_path.startswith("s3://")

    def __repr__(self) -> str:
        """Both places, without the password."""
        return f"Location({self})"

    def __str__(self) -> str:
        """As a message names it, without the password."""
        return f"{self.catalog} (data in {self.data_path})"


def _path(text: str, setting: str) -> Path:
    if not text.strip() or "\0" in text:
        raise LocationError(f"{setting} {text!r} names no file: give {_SCHEMES}")
    return Path(text).expanduser().absolute()


def _data(data_path: str | None, default: Path | None) -> str:
    if not data_path:
        return str(default)
    if data_path.startswith("s3://"):
        bucket, _, _prefix = data_path.removeprefix("s3://").partition("/")
        if not bucket:
            raise LocationError(f"data path {data_path!r} names no bucket: give s3://bucket/prefix")
        return data_path.rstrip("/")
    if "://" in data_path:
        raise LocationError(f"data path {data_path!r} is of a kind we do not know: give a folder or s3://bucket/prefix")
    folder = _path(data_path, "data path")
    if folder.is_file():
        raise LocationError(f"data path {data_path!r} is a file: give a folder or s3://bucket/prefix")
    return str(folder)
