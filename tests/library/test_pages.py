"""The library's page and notebook are run as they stand."""

from __future__ import annotations

import ast
import doctest
import json
from pathlib import Path
from typing import Any

import pytest

DOCS = Path(__file__).resolve().parents[2] / "docs"
NOTEBOOKS = sorted((DOCS / "notebooks").glob("*.ipynb"))


def test_the_page_does_what_it_says() -> None:
    flags = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE
    failed, tried = doctest.testfile(str(DOCS / "library.md"), module_relative=False, optionflags=flags)
    assert tried > 15 and failed == 0


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.name)
def test_a_notebook_runs(path: Path) -> None:
    """Cell after cell; what a cell shows is small, and no dump of an object."""
    cells = [cell for cell in json.loads(path.read_text())["cells"] if cell["cell_type"] == "code"]
    assert len(cells) >= 3 and not any(cell["outputs"] for cell in cells)
    names: dict[str, Any] = {}
    for cell in cells:
        shown = _run("".join(cell["source"]), names)
        html = shown._repr_html_() if hasattr(shown, "_repr_html_") else repr(shown)
        assert 0 < len(html) < 20_000 and len(repr(shown)) < 2_000


def _run(source: str, names: dict[str, Any]) -> Any:
    """The value of the last line, as a notebook shows it."""
    tree = ast.parse(source)
    last = tree.body.pop()
    assert isinstance(last, ast.Expr)
    exec(compile(tree, "<cell>", "exec"), names)
    return eval(compile(ast.Expression(last.value), "<cell>", "eval"), names)
