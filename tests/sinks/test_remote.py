"""The outgrown lake: a PostgreSQL catalog, files in S3. Slow, and the former only where PostgreSQL is installed."""

import io
import os
import shutil
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import httpx
import psycopg
import pyarrow.parquet as pq
import pytest

from sinks import Append, Change, ChangeError, Lake, LakeBusy, LakeUnavailable, Location, LocationError, Upsert, Written
from sinks.export import export
from sinks.lock import write_lock
from sinks.maintenance import maintain
from sinks.storage import open_storage
from tests.sinks.tables import MAY, ODD, SEGMENTS, UTTERANCES, segments, utterances
from tests.sinks.test_feed import check_all_changes

pytestmark = pytest.mark.slow
PASSWORD = "s3cr%t'p"


def postgres_programs() -> Path | None:
    found = shutil.which("initdb")
    folders = [Path(found).parent] if found else sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)
    return next((folder for folder in folders if (folder / "initdb").exists() and (folder / "postgres").exists()), None)


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    """A PostgreSQL server of our own: libpq keywords, without the database."""
    programs = postgres_programs()
    if programs is None:
        pytest.skip("no PostgreSQL server here")
    user = "postgres" if os.getuid() == 0 else None  # the server refuses to run as root
    with tempfile.TemporaryDirectory(prefix="pg") as name, socket.socket() as free:
        folder = Path(name)
        (folder / "password").write_text(PASSWORD)
        if user:
            for path in (folder, folder / "password"):
                shutil.chown(path, user)
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
        free.close()
        init: list[str | Path] = [
            programs / "initdb",
            "-D",
            folder / "data",
            "-A",
            "scram-sha-256",
            "-U",
            "u",
            f"--pwfile={folder / 'password'}",
        ]
        subprocess.run(init, user=user, cwd=folder, check=True, capture_output=True)
        control: list[str | Path] = [programs / "pg_ctl", "-D", folder / "data", "-w", "-l", folder / "log"]
        settings = f"-p {port} -k {folder} -c listen_addresses=127.0.0.1 -c fsync=off"
        subprocess.run([*control, "-o", settings, "start"], user=user, cwd=folder, check=True, capture_output=True)
        try:
            yield f"127.0.0.1:{port}"
        finally:
            subprocess.run(
                [*control, "-m", "immediate", "stop"], user=user, cwd=folder, check=True, capture_output=True
            )


@pytest.fixture
def address(server: str) -> str:
    """A new database there. It sorts texts as people do, unlike DuckDB, which must not matter."""
    admin = psycopg.connect(f"postgresql://u@{server}/postgres", password=PASSWORD, autocommit=True)
    with admin:
        admin.execute("DROP DATABASE IF EXISTS lake WITH (FORCE)")
        admin.execute("CREATE DATABASE lake TEMPLATE template0 LOCALE_PROVIDER icu ICU_LOCALE 'en-US'")
    return f"postgresql://u:s3cr%25t'p@{server}/lake"


@pytest.fixture
def postgres_lake(address: str, tmp_path: Path) -> Iterator[Lake]:
    with Lake(Location.parse(address, str(tmp_path / "data")), [SEGMENTS, UTTERANCES], lock_timeout_s=20) as lake:
        lake.create()
        yield lake


def test_postgresql_keeps_one_row_a_key(postgres_lake: Lake) -> None:
    """The same semantics on the other catalog, odd keys and the server's own order of texts included."""
    for _ in range(2):
        changes: list[Change] = [
            Upsert(SEGMENTS, segments(*ODD, "B", "a", "Z")),
            Append(UTTERANCES, utterances("Z"), under=SEGMENTS),
        ]
        written = postgres_lake.commit(changes)
    assert written["segments"] == Written(unchanged=len(ODD) + 3)
    postgres_lake.commit([Upsert(SEGMENTS, segments("Z", state="stored"), near="ended_at")])
    assert postgres_lake.query("SELECT id FROM segments WHERE state = 'stored'").to_pylist() == [{"id": "Z"}]
    assert postgres_lake.query("FROM segments").num_rows == len(ODD) + 3


def test_postgresql_keeps_macros(address: str, tmp_path: Path) -> None:
    """Searching in SQL needs them."""
    macros = {"known": "(wanted) AS TABLE SELECT id FROM segments WHERE id = wanted"}
    with Lake(Location.parse(address, str(tmp_path / "data")), [SEGMENTS], macros=macros) as lake:
        lake.create()
        lake.commit([Upsert(SEGMENTS, segments("a", "b"))])
        assert lake.query("FROM known('b')").to_pylist() == [{"id": "b"}]


def test_postgresql_is_maintained_under_a_reader(postgres_lake: Lake) -> None:
    """The same promise as beside SQLite: what a reader began with, it goes on with."""
    for number in range(6):
        postgres_lake.commit([Upsert(SEGMENTS, segments(f"s{number}")), Append(UTTERANCES, utterances(f"s{number}"))])
    with postgres_lake.read() as con:
        before = con.execute("FROM segments ORDER BY id").fetchall()
        done = maintain(postgres_lake)
        assert con.execute("FROM segments ORDER BY id").fetchall() == before
        assert con.execute("SELECT count(*) FROM utterances").fetchall() == [(12,)]
    assert {name: size.files for name, size in done.after.items()} == {"segments": 1, "utterances": 1}
    assert maintain(postgres_lake, dry_run=True).after == done.after


def test_postgresql_tells_the_same_changes(postgres_lake: Lake) -> None:
    """The catalog is asked for snapshots, and for the files between two of them."""
    check_all_changes(postgres_lake, 1, 8)


def test_postgresql_rolls_a_failing_commit_back(postgres_lake: Lake) -> None:
    """And the lock is free afterwards."""
    with pytest.raises(ChangeError):
        postgres_lake.commit([Upsert(SEGMENTS, segments("a")), Upsert(SEGMENTS, segments("z", "z"))])
    assert postgres_lake.commit([Upsert(SEGMENTS, segments("b"))])["segments"].inserted == 1
    assert postgres_lake.query("FROM segments").num_rows == 1


def test_postgresql_takes_two_processes(postgres_lake: Lake, address: str) -> None:
    """Without the lock, two new rows of one key would both be let in (ducklake.md, trap 4)."""
    command = [sys.executable, "-m", "tests.sinks.committer", address]
    data, root = postgres_lake.location.data_path, Path(__file__).parents[2]
    workers = [subprocess.Popen([*command, name, "8", data], cwd=root) for name in ("x", "y")]
    assert [worker.wait(timeout=60) for worker in workers] == [0, 0]
    sql = "SELECT count(*) AS n, count(DISTINCT id) AS ids, max(attempts) AS attempts FROM segments"
    assert postgres_lake.query(sql).to_pylist() == [{"n": 17, "ids": 17, "attempts": 16}]


def test_postgresql_names_the_holder_of_the_lock(postgres_lake: Lake) -> None:
    """As the file lock does."""
    location = postgres_lake.location
    with (
        write_lock(location, 5),
        pytest.raises(LakeBusy, match=f"process {os.getpid()} on"),
        write_lock(location, 0.05),
    ):
        pass


def test_a_lost_lock_stops_the_commit(postgres_lake: Lake, server: str) -> None:
    """A server restart or a firewall ends the session, and the lock with it; another writer may be in already."""
    with write_lock(postgres_lake.location, 5) as check_held:
        check_held()
        with psycopg.connect(f"postgresql://u@{server}/lake", password=PASSWORD, autocommit=True) as admin:
            admin.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name LIKE 'process %'"
            )
        with pytest.raises(LakeBusy, match="lost"):
            check_held()


def test_an_unreachable_catalog_is_named_without_its_password(address: str, tmp_path: Path) -> None:
    """Wrong password, wrong port, missing database: all are settings, none may be shown."""
    for wrong in (address.replace("s3cr", "wr0ng"), address.replace("/lake", "/none")):
        lake = Lake(Location.parse(wrong, str(tmp_path)), [SEGMENTS])
        for act in (lake.create, lambda lake=lake: lake.query("SELECT 1")):
            with pytest.raises(LakeUnavailable) as caught:
                act()
            assert not {"wr0ng", "s3cr"} & set(str(caught.value).replace("%", " ").split())


def test_a_query_cannot_talk_to_postgresql(postgres_lake: Lake) -> None:
    """The catalog's connection may read the server's files and see the password's owner."""
    for sql in ("FROM postgres_query('lake_catalog', 'SELECT 1')", "CALL postgres_execute('lake_catalog', 'SELECT 1')"):
        with pytest.raises(Exception, match=r"not available|only reading"):
            postgres_lake.query(sql)
    with postgres_lake.read() as con:
        assert "s3cr" not in str(con.execute("FROM duckdb_databases()").fetchall())
        assert "s3cr" not in str(con.execute("FROM duckdb_secrets()").fetchall())


@pytest.fixture
def bucket(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """An S3 bucket of moto's."""
    from moto.server import ThreadedMotoServer

    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    for name, value in {
        "AWS_ACCESS_KEY_ID": "key",
        "AWS_SECRET_ACCESS_KEY": "s3cr3t",
        "AWS_REGION": "us-east-1",
        "AWS_ENDPOINT_URL": f"http://{host}:{port}",
    }.items():
        monkeypatch.setenv(name, value)
    httpx.put(f"http://{host}:{port}/bucket").raise_for_status()
    yield "s3://bucket/some/lake"
    server.stop()


def test_s3_holds_the_files(bucket: str, tmp_path: Path) -> None:
    """Write, change, read and refuse, with a SQLite catalog here and Parquet there."""
    with Lake(Location.parse(str(tmp_path), bucket), [SEGMENTS, UTTERANCES]) as lake:
        lake.create()
        for state in ("pending", "stored"):
            lake.commit(
                [Upsert(SEGMENTS, segments("a", "b", state=state)), Append(UTTERANCES, utterances("a"), under=SEGMENTS)]
            )
        assert lake.query("SELECT DISTINCT state FROM segments").to_pylist() == [{"state": "stored"}]
        with pytest.raises(Exception, match="disabled by configuration"), lake.read() as con:
            con.execute("FROM read_text('s3://bucket/other')")
        with lake.read() as con:
            assert "s3cr3t" not in str(con.execute("FROM duckdb_secrets()").fetchall())
    assert not (tmp_path / "data").exists()


def test_s3_is_maintained(bucket: str, tmp_path: Path) -> None:
    """There too, small files become large ones, and nothing is lost."""
    with Lake(Location.parse(str(tmp_path), bucket + "/another"), [SEGMENTS, UTTERANCES]) as lake:
        lake.create()
        for number in range(4):
            lake.commit([Upsert(SEGMENTS, segments(f"s{number}"))])
        done = maintain(lake)
        assert (done.before["segments"].files, done.after["segments"].files) == (4, 1)
        assert lake.query("SELECT count(*) AS n FROM segments").to_pylist() == [{"n": 4}]


def test_s3_takes_an_export(bucket: str, tmp_path: Path) -> None:
    """And only what has changed of it; keys and place are those of the lake's own files."""
    with Lake(Location.parse(str(tmp_path)), [SEGMENTS, UTTERANCES]) as lake:
        lake.create()
        lake.commit([Upsert(SEGMENTS, segments("a")), Append(UTTERANCES, utterances("a"))])
        assert export(lake, bucket + "/out").written == 2
        lake.commit([Upsert(SEGMENTS, segments("a", at=MAY))])
        done = export(lake, bucket + "/out")
        assert (done.written, done.removed, export(lake, bucket + "/out").written) == (1, 1, 0)
        storage = open_storage(bucket + "/out")
        assert sorted(storage.sizes()) == [
            "manifest.json",
            "segments/day=2026-05-15/data.parquet",
            "utterances/day_of_export=2026-01-15/data.parquet",
        ]
        assert pq.read_table(io.BytesIO(storage.read("segments/day=2026-05-15/data.parquet"))).num_rows == 1


def answer_of_a_shell(lake: Lake, address: str) -> tuple[str, str]:
    """What DuckDB's program says to a question, and its arguments as everybody may list them."""
    code = "import os; from sinks import *; from sinks.shell import become_shell; "
    code += "become_shell(Lake(Location.parse(os.environ['LAKE'], os.environ['DATA']), []), ['-csv', '-noheader'])"
    env = os.environ | {"LAKE": address, "DATA": lake.location.data_path}
    with subprocess.Popen(
        [sys.executable, "-c", code],
        env=env,
        cwd=Path(__file__).parents[2],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as shell:
        assert shell.stdin
        assert shell.stdout
        shell.stdin.write("SELECT id FROM segments;\n")
        shell.stdin.flush()
        said = shell.stdout.readline().strip()
        listed = Path(f"/proc/{shell.pid}/cmdline").read_text()
        shell.communicate(".quit\n")
    return said, listed


def test_a_shell_shows_its_secrets_to_nobody(postgres_lake: Lake, address: str, bucket: str, tmp_path: Path) -> None:
    """Neither the catalog's password nor the object store's key is among its arguments or in a file."""
    postgres_lake.commit([Upsert(SEGMENTS, segments("a"))])
    with Lake(Location.parse(f"sqlite:{tmp_path}/s3.sqlite", bucket + "/shell"), [SEGMENTS, UTTERANCES]) as on_s3:
        on_s3.create()
        on_s3.commit([Upsert(SEGMENTS, segments("a"))])
        for lake, place in ((on_s3, f"sqlite:{tmp_path}/s3.sqlite"), (postgres_lake, address)):
            said, listed = answer_of_a_shell(lake, place)
            assert (said, listed.partition("\0")[0]) == ("a", "duckdb")
            assert "s3cr" not in listed


def test_s3_without_keys_says_which_to_set(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """DuckDB would say 403."""
    monkeypatch.delenv("AWS_ACCESS_KEY_ID", raising=False)
    with pytest.raises(LocationError, match="AWS_ACCESS_KEY_ID"):
        Lake(Location.parse(str(tmp_path), "s3://bucket"), [SEGMENTS]).create()


def test_s3_out_of_reach_is_the_lakes_state(bucket: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A wrong key or bucket is a setting; the secret stays out of the message."""
    with (
        Lake(Location.parse(str(tmp_path), bucket.replace("bucket", "nowhere")), [SEGMENTS]) as lake,
        pytest.raises(LakeUnavailable) as caught,
    ):
        lake.create()
    assert "s3cr3t" not in str(caught.value)
