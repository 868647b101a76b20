"""The file in which processes share their tokens: private, replaced in one step, never a reason to fail."""

import asyncio
from pathlib import Path

import pytest
from rich.pretty import pretty_repr

from connectors.errors import StateUnavailable
from connectors.ringcx.tokens import TokenFile, Tokens
from connectors.sandbox import SandboxConfig
from tests.connectors.wiring import login, open_http, operations
from tests.virtual_time import World, run_virtually

TOKENS = Tokens(rc_access="secret-1", rc_good_until=1.5, access="secret-2", good_until=2.5, refresh="secret-3")


def test_what_was_written_is_read_by_others(tmp_path: Path) -> None:
    """Another process opens the same path."""
    TokenFile(tmp_path / "tokens.json").write(TOKENS)
    assert TokenFile(tmp_path / "tokens.json").read() == TOKENS


def test_the_file_is_its_owners_alone(tmp_path: Path) -> None:
    """Whoever reads it reads every conversation of the company."""
    TokenFile(tmp_path / "state" / "tokens.json").write(TOKENS)
    assert (tmp_path / "state" / "tokens.json").stat().st_mode & 0o777 == 0o600
    assert (tmp_path / "state").stat().st_mode & 0o777 == 0o700


def test_writing_leaves_nothing_else_behind(tmp_path: Path) -> None:
    """A forgotten temporary file would be a copy of the tokens."""
    file = TokenFile(tmp_path / "tokens.json")
    file.write(TOKENS)
    file.write(Tokens())
    assert [path.name for path in tmp_path.iterdir()] == ["tokens.json"]


@pytest.mark.parametrize(
    "content", [b"", b"{", b"\xff\xfe{}", b'{"access": "\xff"}', b"[]", b'{"access": 5}', b'"\\ud83d"', b"\0" * 99]
)
def test_garbage_in_the_file_costs_a_login_and_nothing_else(tmp_path: Path, content: bytes) -> None:
    """A full disk or a crash must not need an operator to delete a file."""
    (tmp_path / "tokens.json").write_bytes(content)

    async def work(world: World) -> list[tuple[str, int | None]]:
        async with open_http(tmp_path, world.clock, world.transport) as http:
            await login(http, world, tmp_path).token()
        return operations(world.sandbox)

    assert run_virtually(work, SandboxConfig(), tmp_path) == [("oauth", 200), ("login", 200)]
    assert TokenFile(tmp_path / "tokens.json").read().access


def test_fields_of_another_version_do_not_matter(tmp_path: Path) -> None:
    """An older process may have written the file, and a newer one may read it."""
    (tmp_path / "tokens.json").write_bytes(b'{"access": "a", "ends_at": 7, "future": [1]}')
    assert TokenFile(tmp_path / "tokens.json").read() == Tokens(access="a")


def test_the_lock_lets_in_one_at_a_time(tmp_path: Path) -> None:
    """Two `TokenFile`s are two processes; the second reads what the first wrote."""
    path, order = tmp_path / "tokens.json", []

    async def hold(name: str) -> None:
        async with TokenFile(path).locked():
            order.append(f"{name} in")
            await asyncio.sleep(1)
            order.append(f"{name} out")

    async def work(_: World) -> None:
        await asyncio.gather(hold("one"), hold("other"))

    run_virtually(work, SandboxConfig(), tmp_path)
    assert order in (["one in", "one out", "other in", "other out"], ["other in", "other out", "one in", "one out"])


def test_a_place_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    """Tokens that nobody else can read would be logged in for by every process, five times a minute."""
    file = TokenFile(tmp_path / "tokens.json")
    (tmp_path / "tokens.new").mkdir()
    with pytest.raises(StateUnavailable, match=f"cannot use {tmp_path}/tokens.new.*RINGCX_STATE_PATH"):
        file.write(TOKENS)
    (tmp_path / "file").touch()
    with pytest.raises(StateUnavailable, match=f"{tmp_path}/file"):
        TokenFile(tmp_path / "file/tokens.json")


@pytest.mark.parametrize("shown", [repr(TOKENS), str(TOKENS), f"{[TOKENS]}", pretty_repr(TOKENS)])
def test_tokens_do_not_show_themselves(shown: str) -> None:
    """Neither in a traceback's locals nor in a log line."""
    assert "secret" not in shown
