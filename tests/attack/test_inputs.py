"""A sample of the attack's inputs before wellfed's commands (benchmarks/attack.py takes all), and that judges judge."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from attack.inputs import KINDS, run, sample
from attack.judges import always, either, refused, sane
from attack.sandbox import Said, said


@pytest.mark.parametrize("kind", KINDS)
def test_a_sample(kind: str) -> None:
    verdicts = list(run(sample(kind)))
    assert verdicts
    assert [verdict for verdict in verdicts if verdict.wrong] == []


def test_there_are_six_thousand() -> None:
    assert sum(sum(1 for _ in inputs()) for inputs in KINDS.values()) >= 6000


@pytest.mark.parametrize(
    "bad",
    [
        Said(0, escaped="Traceback"),
        Said(0, seconds=5.1),
        Said(0, peak_bytes=301 * 10**6),
        Said(70),
        Said(0, shown="\x1b[31mred"),
        Said(2, message="a\x07bell"),
        Said(0, shown="\u202e"),
    ],
)
def test_what_no_input_may_do(bad: Said) -> None:
    assert always(bad) and not always(Said(0)) and not always(Said(2, message="no\nmore"))


def test_judges() -> None:
    assert refused(Said(0, out='{"names": [{"id": "x"}]}')) and refused(Said(2))
    assert not refused(Said(1, out='{"names": [{"error": {}}]}')) and not refused(Said(2, message="no"))
    assert sane(Said(0, out='{"a": NaN}')) and sane(Said(0, out='{"a": [1e999]}')) and not sane(Said(0, out='{"a": 1}'))
    assert either(lambda found: "wrong")(Said(0, out="{}")) == "wrong"
    assert either(lambda found: "wrong")(Said(2, message="no")) == ""


def test_the_sandbox_sees_what_it_is_for(tmp_path: Path) -> None:
    there = said(("resolve", "qwen3-8b", "--json"), tmp_path, {}, lambda folder: folder)
    assert json.loads(there.out)["names"][0]["id"] == "qwen3-8b" and there.peak_bytes > 10**7
    assert said(("resolve",), tmp_path, {}, lambda folder: folder).status == 2

    def large(folder: Path) -> Path:
        (folder / "block").write_bytes(bytes(8))
        large.kept = bytearray(400 * 10**6)  # type: ignore[attr-defined]
        large.kept[::4096] = b"x" * len(large.kept[::4096])  # type: ignore[attr-defined]
        return folder

    assert "MB" in always(said(("resolve", "qwen3-8b"), tmp_path, {}, large))

    def broken(folder: Path) -> Path:
        raise ZeroDivisionError

    assert "ZeroDivisionError" in always(said(("resolve", "qwen3-8b"), tmp_path, {}, broken))
