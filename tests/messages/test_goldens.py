"""What fifteen commands print, in both languages at 80 and 120 columns, on machines that are written down.

WELLFED_UPDATE_GOLDENS=1 writes them anew; read the difference before it is committed.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner
from rich.cells import cell_len

from samples import few
from wellfed.cli import console
from wellfed.cli.click_words import install
from wellfed.cli.main import cli
from wellfed.messages import language

GOLDEN = Path(__file__).with_name("golden")
UPDATE = os.environ.get("WELLFED_UPDATE_GOLDENS")
DESKTOP = "rtx 4090, ryzen 9 7950x, 64gb"
COMMANDS: dict[str, list[str]] = {
    "help": ["--help"],
    "plan-help": ["plan", "--help"],
    "plan": ["plan", "qwen3-32b", "--on", DESKTOP],
    "plan-offload": ["plan", "deepseek-r1", "--on", "rtx 4090, 2x xeon platinum 8480+, 1tb", "--explain"],
    "plan-no-fit": ["plan", "llama-3.1-405b", "--on", "rtx 3060 12gb, core i5-13600k, 32gb"],
    "plan-users": ["plan", "qwen3-32b", "--on", "2x a100 40gb, epyc 7543, 256gb", "--concurrency", "8", "--ttft", "3"],
    "fit": ["fit", "--on", "rtx 3060 12gb, core i5-13600k, 32gb", "--top", "5"],
    "compare": ["compare", DESKTOP, "2x rtx 3090, ryzen 9 5950x, 64gb", "-m", "qwen3-8b"],
    "check": ["check", "--on", "4x rtx 4090, 2x xeon platinum 8480+, 8x32GB ddr5", "-m", "qwen3-32b"],
    "check-all": ["check", "--on", DESKTOP, "--all"],
    "check-list": ["check", "--list"],
    "topology": ["topology", "--on", "2x h100 sxm, 2x xeon platinum 8480+"],
    "resolve": ["resolve", "qwen3-32b", "r1:70b"],
    "explain": ["explain", "TTFT"],
    "catalog": ["catalog", "cpus", "7950"],
    "fleet-plan": ["fleet", "plan", "qwen3-32b", "--machines", "3=8x h200, 2x xeon 8480+", "--rate", "30"],
}


@pytest.fixture
def at(monkeypatch: pytest.MonkeyPatch) -> Iterator[pytest.MonkeyPatch]:
    monkeypatch.setenv("NO_COLOR", "1")
    install()  # as after any other test: whether click wraps by columns must not hang on the order
    yield monkeypatch
    monkeypatch.undo()
    _forget()


def _forget() -> None:
    for cached in (language.language, console.console, console.talk):
        cached.cache_clear()


@pytest.mark.parametrize("width", [80, 120])
@pytest.mark.parametrize("spoken", ["en", "zh"])
@pytest.mark.parametrize("name", few(COMMANDS, 5))
def test_as_it_was(name: str, spoken: str, width: int, at: pytest.MonkeyPatch) -> None:
    at.setenv("WELLFED_LANG", spoken)
    at.setenv("COLUMNS", str(width))
    _forget()
    done = CliRunner().invoke(cli, COMMANDS[name], prog_name="wellfed", terminal_width=width)
    text = "\n".join(line.rstrip() for line in done.output.splitlines()) + "\n"
    path = GOLDEN / f"{name}.{spoken}.{width}.txt"
    if UPDATE:
        path.parent.mkdir(exist_ok=True)
        path.write_text(text, encoding="utf-8")
    assert text == path.read_text(encoding="utf-8")


@pytest.mark.parametrize(
    "path",
    sorted(
        set(GOLDEN.glob("*.zh.80.txt"))
        - {GOLDEN / f"{name}.zh.80.txt" for name in ("explain", "resolve", "check-list")}
    ),
    ids=lambda path: path.name,
)
def test_lines_keep_to_the_width(path: Path) -> None:
    """Wide characters are counted as two; commands stay in one piece, to be copied."""
    for line in path.read_text(encoding="utf-8").splitlines():
        commands = ("wellfed ", "llama-server ", "numactl ", "vllm ", "python", "trtllm", "hf download ", "--")
        if not line.lstrip().startswith(commands):
            assert cell_len(line) <= 80 or " " not in line.strip(), line


@pytest.mark.parametrize("name", ["plan", "fit", "compare"])
def test_columns_of_a_chinese_table_begin_at_one_place(name: str) -> None:
    """The second column's head stands above its first cell, counted in places of the terminal."""
    lines = (GOLDEN / f"{name}.zh.120.txt").read_text(encoding="utf-8").splitlines()
    at = next(number for number, line in enumerate(lines) if "TTFT" in line and "：" not in line)
    head, first = lines[at], lines[at + 1]
    ends = {cell_len(head[: match.end()]) for match in re.finditer(r"TTFT", head)}
    cells = {cell_len(first[: match.end()]) for match in re.finditer(r"[\d.]+ m?s\b", first)}
    assert ends & cells, (head, first)
