"""Two settings -> a place, or an error that says what to change."""

from pathlib import Path

import pytest

from sinks import Location, LocationError


def test_a_folder_holds_catalog_and_data(tmp_path: Path) -> None:
    """The embedded default needs one setting."""
    location = Location.parse(str(tmp_path / "a lake"))
    assert (location.kind, location.catalog) == ("sqlite", str(tmp_path / "a lake/catalog.sqlite"))
    assert location.data_path == str(tmp_path / "a lake/data")


@pytest.mark.parametrize(
    ("lake", "data_path", "catalog", "data"),
    [
        ("sqlite:/l/c.sqlite", None, "/l/c.sqlite", "/l/data"),
        ("sqlite:/l/c.sqlite", "/elsewhere/", "/l/c.sqlite", "/elsewhere"),
        ("/l", "s3://bucket/some/prefix/", "/l/catalog.sqlite", "s3://bucket/some/prefix"),
        ("postgres://u@h:1/db", "/d", "user=u dbname=db host=h port=1", "/d"),
        ("postgresql://u:p@h/db?sslmode=require", "s3://b", "user=u dbname=db host=h sslmode=require", "s3://b"),
        ("postgresql://h/db?user=u&password=p", "/d", "user=u dbname=db host=h", "/d"),
        ("postgresql:///db?host=/run/pg", "/d", "dbname=db host=/run/pg", "/d"),
    ],
)
def test_every_documented_form_is_understood(lake: str, data_path: str | None, catalog: str, data: str) -> None:
    """Catalog and data may live apart."""
    location = Location.parse(lake, data_path)
    assert (location.catalog, location.data_path) == (catalog, data)


@pytest.mark.parametrize("uri", ["postgresql://u:s3cr%25t@h/db", "postgresql://h/db?user=u&password=s3cr%25t"])
def test_the_password_is_known_and_never_shown(uri: str) -> None:
    """Settings end up in logs."""
    location = Location.parse(uri, "/d")
    assert location.password == "s3cr%t"
    assert "s3cr" not in f"{location} {location!r}"


def test_a_relative_folder_does_not_follow_the_working_directory(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """A scheduler changes directories as it likes."""
    monkeypatch.chdir(tmp_path)
    assert Location.parse("lake").catalog == str(tmp_path / "lake/catalog.sqlite")


@pytest.mark.parametrize(
    ("lake", "data_path", "said"),
    [
        ("", None, "no lake is set"),
        ("mysql://u:s3cret@h/db", None, "kind we do not know"),
        ("host=h dbname=db password=s3cret", None, "kind we do not know"),
        ("sqlite:", None, "names no file"),
        ("a\0b", None, "names no file"),
        ("postgresql://u:s3cret@h/db", None, "set the data path"),
        ("postgresql://u:s3cret@h", "/d", "names no database"),
        ("postgresql://u:s3cret@[h/db", "/d", "not an address"),
        ("/l", "gs://bucket", "gs://bucket"),
        ("/l", "s3://", "names no bucket"),
    ],
)
def test_a_bad_setting_is_named_with_what_to_give_instead(lake: str, data_path: str | None, said: str) -> None:
    """Whoever sets this up reads the message, not the code; and passwords stay out of it."""
    with pytest.raises(LocationError) as caught:
        Location.parse(lake, data_path)
    assert said in str(caught.value)
    assert "give" in str(caught.value) or "set" in str(caught.value)
    assert "s3cret" not in str(caught.value)


def test_files_where_folders_belong_are_refused(tmp_path: Path) -> None:
    """And the other way round: DuckDB's own words for it help nobody."""
    file = tmp_path / "file"
    file.touch()
    for lake, data_path in [(str(file), None), (f"sqlite:{tmp_path}", None), (str(tmp_path), str(file))]:
        with pytest.raises(LocationError):
            Location.parse(lake, data_path)
