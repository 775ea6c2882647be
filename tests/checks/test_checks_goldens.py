"""Whole outputs of `check` and `topology` for machines of our own making, as committed.

WELLFED_UPDATE_GOLDENS=1 pytest tests/checks/test_checks_goldens.py writes them anew; read the difference.
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from click.testing import CliRunner
from golden_machines import MACHINES

from wellfed.cli.check import command as check
from wellfed.cli.console import console, talk
from wellfed.cli.topology import command as topology

GOLDENS = Path(__file__).resolve().parent / "goldens"
COMMANDS = {"check": check, "topology": topology}


def output(command, path: Path) -> str:
    console.cache_clear()
    talk.cache_clear()
    run = CliRunner().invoke(command, ["--from", str(path)], env={"COLUMNS": "110", "NO_COLOR": "1", "TERM": "dumb"})
    assert run.exit_code in (0, 1), run.output
    return "\n".join(line.rstrip() for line in run.stdout.splitlines()) + f"\nexit {run.exit_code}\n"


@pytest.mark.parametrize("command", COMMANDS)
@pytest.mark.parametrize("name", MACHINES)
def test_the_whole_output_is_as_committed(name: str, command: str, tmp_path: Path) -> None:
    found = output(COMMANDS[command], MACHINES[name](tmp_path))
    golden = GOLDENS / f"{name}.{command}.txt"
    if os.environ.get("WELLFED_UPDATE_GOLDENS"):
        golden.write_text(found, encoding="utf-8")
    assert golden.read_text(encoding="utf-8") == found


def test_every_golden_has_its_machine() -> None:
    assert {path.name for path in GOLDENS.iterdir()} == {f"{n}.{c}.txt" for n in MACHINES for c in COMMANDS}
