"""The sandbox shares nothing with the client it judges."""

import ast
import sys
from pathlib import Path

import connectors.sandbox

# Among them httpx, which the client uses as well; the sandbox uses no code of ours on top of it.
LIBRARIES = {"google", "grpc", "httpx", "msgspec", "starlette", "uvicorn", "websockets"}


def test_the_sandbox_imports_only_itself_and_its_libraries() -> None:
    """A shared helper would share a misreading of the platform with the client (style.md, rule 40)."""
    folder = Path(connectors.sandbox.__path__[0])
    imported = set()
    for module in folder.rglob("*.py"):
        for node in ast.walk(ast.parse(module.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import):
                imported |= {alias.name for alias in node.names}
            elif isinstance(node, ast.ImportFrom):
                imported.add(node.module or "")
    own = {name for name in imported if name.startswith("connectors.sandbox")}
    assert {name.split(".")[0] for name in imported - own} - sys.stdlib_module_names - {"audioop"} == LIBRARIES
