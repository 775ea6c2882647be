"""No function is longer than a screen."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

SOURCE = Path(__file__).parents[2] / "src" / "wellfed"
MOST_LINES = 45  # of statements, without signature and docstring; this number only goes down


def test_functions_are_read_at_a_glance() -> None:
    assert not [name for path in SOURCE.rglob("*.py") for name in _long_functions(path)]


def _long_functions(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            statements = node.body[1:] if ast.get_docstring(node) and len(node.body) > 1 else node.body
            if (node.end_lineno or 0) - statements[0].lineno + 1 > MOST_LINES:
                yield f"{path}: {node.name}"
