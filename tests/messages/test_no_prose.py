"""No sentence that a person reads stands outside the message layer."""

from __future__ import annotations

import ast
import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import pytest

SCRIPTS = Path(__file__).resolve().parents[2] / "scripts"


@pytest.fixture(scope="module")
def prose() -> ModuleType:
    spec = importlib.util.spec_from_file_location("prose", SCRIPTS / "prose.py")
    assert spec is not None and spec.loader is not None
    made = importlib.util.module_from_spec(spec)
    sys.modules["prose"] = made
    spec.loader.exec_module(made)
    return made


def test_every_sentence_is_a_message(prose: ModuleType) -> None:
    assert list(prose.outside()) == []


@pytest.mark.parametrize(
    "code",
    [
        'click.echo("nothing is running")',
        'click.echo(f"{name}: stopped")',
        'raise BadInput(f"cannot read {path}")',
        'raise BadInput(message("a.b", "x"), "try again")',
        'table.add_column("engine")',
        'def why():\n    return "the card is too slow for this"',
        'NOTE = "the card is too slow for this"',
        'found.append(f"the card is {share} too slow")',
    ],
)
def test_a_sentence_outside_is_found(prose: ModuleType, code: str) -> None:
    assert prose.Finder(ast.parse(code)).found


@pytest.mark.parametrize(
    "code",
    [
        'click.echo(tell("a.b", "nothing is running"))',
        'raise BadInput(message("a.b", "no {x}", x=1), sentence("a.c", "try again"))',
        '"""The whole of it."""',
        'def f():\n    """What it does here."""',
        '@click.option("--x", help="What it does here.")\ndef f(): pass',
        'TEXT = "the card is too slow"\nmessage("a.b", TEXT)',
        'facts.get("Model name here")',
        'console.print("[bold red]x[/]")',
        'COMMAND = "sudo dmidecode -t 17"',
    ],
)
def test_what_is_no_sentence_of_ours_is_let_be(prose: ModuleType, code: str) -> None:
    assert prose.Finder(ast.parse(code)).found == []


def test_what_is_allowed_is_still_there(prose: ModuleType) -> None:
    """The list of data does not outlive what it names."""
    paths = [path.relative_to(prose.SOURCE).as_posix() for path in prose.SOURCE.rglob("*.py")]
    import re

    for pattern in prose.allowed()["files"]:
        assert any(re.match(pattern, path) for path in paths), pattern
    for place, known in prose.allowed()["texts"].items():
        found = {text for _, text in prose.Finder(ast.parse((prose.SOURCE / place).read_text())).found}
        assert set(known) <= found, (place, set(known) - found)
