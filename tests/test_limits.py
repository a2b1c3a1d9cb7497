"""How long a file, a class, a function and a command may be, as CONTRIBUTING says."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

PACKAGE = Path(__file__).resolve().parents[1] / "latxa_cli"
FILE, COMMAND, CLASS, FUNCTION = 400, 120, 250, 60  # lines at most; of a command behind its imports


def pieces() -> Iterator[tuple[str, int, int]]:
    """Yield (what it is, its lines, how many it may have)."""
    for path in sorted(PACKAGE.rglob("*.py")):
        name, text = str(path.relative_to(PACKAGE)), path.read_text(encoding="utf-8")
        tree, lines = ast.parse(text), text.count("\n")
        if path.parent.name == "commands":
            imports = [node for node in tree.body if isinstance(node, ast.Import | ast.ImportFrom)]
            yield name, lines - max(map(_last, imports), default=0), COMMAND
        yield name, lines, FILE
        for node in ast.walk(tree):
            if isinstance(node, ast.ClassDef):
                yield f"{name}: {node.name}", 1 + _last(node) - node.lineno, CLASS
            elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                yield f"{name}: {node.name}", 1 + _last(node) - _first_statement(node).lineno, FUNCTION


def _last(node: ast.stmt) -> int:
    assert node.end_lineno is not None
    return node.end_lineno


def _first_statement(node: ast.FunctionDef | ast.AsyncFunctionDef) -> ast.stmt:
    """Return where a function begins to work: parameters and docstrings are declarations."""
    return node.body[1] if ast.get_docstring(node) and len(node.body) > 1 else node.body[0]


def test_nothing_is_longer_than_can_be_read_at_once() -> None:
    assert [f"{what}: {lines} lines" for what, lines, most in pieces() if lines > most] == []
