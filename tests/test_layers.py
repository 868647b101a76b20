"""Who may import whom, walked over every module: an unwritten rule leaks."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
MODULES = sorted(path for room in ("flows", "connectors", "sinks") for path in (ROOT / room).rglob("*.py"))
CLIENT_PARTS = ("answers", "errors", "http", "journey", "limits", "receivers", "ringcentral", "ringcx", "speech", "wav")
CLIENT = tuple(f"connectors.{name}" for name in CLIENT_PARTS)


def imports_of(path: Path) -> set[str]:
    """Every module that a file imports, wherever in it."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found |= {node.module} | {f"{node.module}.{alias.name}" for alias in node.names}
    return found


def forbidden_to(module: str) -> tuple[str, ...]:
    """The beginnings of names that a module may not import."""
    if module.startswith("connectors.sandbox"):
        return ("flows", "sinks", "prefect", "tests", *CLIENT)
    if module.startswith("connectors"):
        return ("flows", "sinks", "prefect", "duckdb", "pyarrow", "tests", "connectors.sandbox")
    if module.startswith("sinks"):
        return ("flows", "connectors", "prefect", "httpx", "tests")
    return ("tests", "httpx.Client", "duckdb")


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(ROOT)))
def test_a_module_imports_only_what_its_room_may(path: Path) -> None:
    """flows knows both sides, connectors and sinks know neither flows nor each other, the sandbox not the client."""
    module = ".".join(path.relative_to(ROOT).with_suffix("").parts)
    wrong = [
        name
        for name in imports_of(path)
        for start in forbidden_to(module)
        if name == start or name.startswith(start + ".")
    ]
    assert not wrong


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(ROOT)))
def test_nothing_below_flows_asks_the_clock(path: Path) -> None:
    """Time is an argument there, or an injected clock: what happened can be replayed."""
    real = ("server.py", "durable.py")  # the sandbox's socket lives in real time, files carry the time of their writing
    if path.is_relative_to(ROOT / "flows") or path.name in real:
        return
    calls = {ast.unparse(node.func) for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.Call)}
    assert not calls & {"time.time", "datetime.now", "datetime.utcnow", "date.today"}
