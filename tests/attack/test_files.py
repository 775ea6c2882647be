"""Hostile files before every reader: an answer or an error of ours, soon, without a control character."""

from __future__ import annotations

import os
import re
import signal
from pathlib import Path
from types import FrameType

import click
import pytest
from click.testing import CliRunner

from attack.hostile_files import NATURES, READERS
from wellfed.cli.main import cli
from wellfed.errors import WellfedError
from wellfed.printable import printable_lines

_WITHIN_S = 20  # on a machine that is busy with other tests; alone, none takes a quarter of it
_LONG = os.environ.get("WELLFED_ATTACK") == "long"
_ALL = [(reader, nature) for reader in READERS for nature in NATURES]


def _late(number: int, frame: FrameType | None) -> None:
    raise TimeoutError("it hangs")


def fault(reader: str, nature: str, folder: Path) -> str:
    """What is wrong with how it was met; empty for nothing."""
    path = NATURES[nature](folder)
    words = [word.format(path) if word == "{}" else word for word in READERS[reader]]
    before = signal.signal(signal.SIGALRM, _late)
    signal.alarm(_WITHIN_S)
    try:
        done = CliRunner().invoke(cli, words, catch_exceptions=True)
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)
    error = done.exception
    if error is not None and not isinstance(error, WellfedError | SystemExit | click.ClickException | OSError):
        return f"{type(error).__name__}: {error}"
    if isinstance(error, TimeoutError):
        return "it hangs"
    if isinstance(error, OSError) and not error.strerror:
        return f"{error!r}"
    if done.exit_code not in (0, 1, 2):
        return f"exit status {done.exit_code}"
    said = done.output + (printable_lines(error.message) if isinstance(error, WellfedError) else "")
    return "a control character is printed" if re.search("[\x00-\x08\x0e-\x1f\x7f-\x9f\u202a-\u202e]", said) else ""


@pytest.mark.parametrize(("reader", "nature"), _ALL if _LONG else _ALL[::7], ids=str)
def test_files(
    reader: str, nature: str, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path_factory.mktemp("hostile")
    monkeypatch.setenv("XDG_STATE_HOME", str(folder / "state"))
    monkeypatch.setenv("XDG_DATA_HOME", str(folder / "data"))
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    assert fault(reader, nature, folder) == ""
