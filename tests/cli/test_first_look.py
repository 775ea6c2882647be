"""`wellfed` alone: one screen, nothing asked in a pipe, commands that exist."""

from __future__ import annotations

import subprocess
import sys

import pytest
from click.testing import CliRunner

from wellfed.cli.first_look import print_look
from wellfed.cli.main import COMMANDS, cli
from wellfed.verbs.first_look import FirstLook, first_look

CARD = "rtx 3060 12gb, ryzen 5 5600, 2x16gb ddr4-3200"


@pytest.fixture(scope="module")
def look() -> FirstLook:
    return first_look("chat", 2, CARD)


def test_alone_it_shows_this_machine_and_asks_nothing() -> None:
    done = subprocess.run([sys.executable, "-m", "wellfed"], stdin=subprocess.DEVNULL, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "this machine" in done.stdout and "to go on" in done.stdout
    assert "What for" not in done.stdout + done.stderr
    assert len(done.stdout.splitlines()) <= 24  # one screen


def test_the_best_models_are_shown_with_quality(look: FirstLook, capsys: pytest.CaptureFixture[str]) -> None:
    assert len(look.fit.rows) == 3 and look.fit.rows[0].score is not None
    assert look.fit.rows[0].plan.workload.concurrency == 2
    print_look(look)
    shown = capsys.readouterr().out
    assert look.fit.rows[0].plan.model.name in shown and look.commands[0] in shown


def test_its_commands_are_commands(look: FirstLook) -> None:
    assert len(look.commands) == 3
    for line in look.commands:
        program, command, *words = line.split()
        assert program == "wellfed" and command in COMMANDS
        options = [word for word in words if word.startswith("--")]
        help_text = CliRunner().invoke(cli, [command, "--help"]).output
        assert all(option in help_text for option in options)


def test_faults_are_dearest_first(look: FirstLook) -> None:
    costs = [finding.cost.decode_tok_s if finding.cost else 0.0 for finding in look.faults]
    assert costs == sorted(costs, reverse=True)
