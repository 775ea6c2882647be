"""Terminals as they are: without UTF-8, closed early, asked for nothing."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from samples import few

_POSIX = {**os.environ, "LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0", "PYTHONIOENCODING": "ascii"}


def wellfed(*words: str, **options: object) -> subprocess.CompletedProcess[bytes]:
    command = [sys.executable, "-m", "wellfed", *words]
    return subprocess.run(command, capture_output=True, timeout=60, check=False, **options)  # type: ignore[call-overload,no-any-return]


@pytest.mark.parametrize(
    "words",
    [
        ("plan", "r1:7b", "--on", "rtx 4090", "--explain"),
        ("topology", "--on", "2x rtx 4090"),
        ("compare", "rtx 4090", "rtx 3090", "-m", "r1:7b"),
    ],
)
def test_ascii_terminals_get_what_they_can_show(words: tuple[str, ...]) -> None:
    done = wellfed(*words, env=_POSIX)
    assert done.returncode == 0, done.stderr
    assert done.stdout.isascii() and b"4090" in done.stdout
    assert done.stderr.isascii()  # talk, such as how a name was read


def test_arguments_are_utf8_whatever_the_locale() -> None:
    done = wellfed("plan", "r1:7b", "--on", "两张4090，7950X", env=_POSIX)
    assert done.returncode == 0, done.stderr
    assert b"on 2x GeForce RTX 4090, Ryzen 9 7950X" in done.stdout


def test_bytes_that_are_no_text_are_no_traceback() -> None:
    done = wellfed("check", "--from", os.fsdecode(b"/nonexistent/\xff"))
    assert done.returncode == 2
    assert b"Traceback" not in done.stderr and b"internal" not in done.stderr


@pytest.mark.parametrize(
    "words",
    few(
        [
            ("catalog", "cpus"),
            ("plan", "r1:7b", "--on", "rtx 4090"),
            ("plan", "r1:7b", "--on", "rtx 4090", "--json"),
            ("check", "--on", "2x rtx 4090"),
            ("fit", "--on", "rtx 4090"),
            ("compare", "rtx 4090", "rtx 3090", "-m", "qwen3-8b"),
        ],
        3,
        " ".join,
    ),
)
def test_a_reader_that_had_enough_is_no_failure(words: tuple[str, ...]) -> None:
    command = [sys.executable, "-m", "wellfed", *words]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert process.stdout is not None and process.stderr is not None
    process.stdout.close()
    assert process.stderr.read() == b""
    assert process.wait(timeout=60) == 0


@pytest.mark.slow
def test_asked_for_nothing_it_shows_this_machine_and_what_to_type() -> None:
    done = wellfed()
    assert done.returncode in (0, 1)
    assert b"wellfed plan" in done.stdout
