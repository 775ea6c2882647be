"""The command line as a user meets it: real processes, exit codes, stdout for data and stderr for talk."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from samples import few
from wellfed.cli.main import COMMANDS


def wellfed(*words: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run the command line."""
    env = {**os.environ, "NO_COLOR": "1", "COLUMNS": "120", **environment}
    return subprocess.run(
        [sys.executable, "-m", "wellfed", *words], capture_output=True, text=True, check=False, env=env
    )


@pytest.mark.parametrize("name", few(sorted(COMMANDS), 5))
def test_every_command_has_help(name: str) -> None:
    done = wellfed(name, "--help")
    assert done.returncode == 0, done.stderr
    assert "Usage" in done.stdout


def test_plan_speaks_json_with_a_schema() -> None:
    done = wellfed("plan", "deepseek-r1:7b", "--on", "rtx 4090", "--json")
    assert done.returncode == 0, done.stderr
    answer = json.loads(done.stdout)
    assert answer["schema"] == "wellfed.plan/1"
    assert answer["plans"][0]["fits"] is True
    assert answer["plans"][0]["decode_tok_s"]["low"] < answer["plans"][0]["decode_tok_s"]["high"]


def test_plan_text_names_verdict_limits_and_upgrades() -> None:
    done = wellfed("plan", "deepseek-r1:70b", "--on", "2x rtx 3090, ryzen 9 7950x, 4x32GB ddr5-5600", "--explain")
    assert done.returncode == 0, done.stderr
    for part in ("GPU", "limited by", "next upgrade", "one decode step", "assumptions", "layouts considered"):
        assert part in done.stdout
    assert "\x1b[" not in done.stdout


def test_what_does_not_fit_is_exit_one() -> None:
    done = wellfed("plan", "qwen3-32b", "-q", "q8_0", "--on", "rtx 3060, ryzen 5 5600, 16gb")
    assert done.returncode == 1
    assert "does not fit" in done.stdout


@pytest.mark.parametrize(
    "words",  # the same without a process of its own: test_bad_input.py
    few(
        [
            ("plam",),
            ("plan",),
            ("stop",),
            ("plan", "no-such-model-7x"),
            ("plan", "deepseek-r1", "--on", "rtx 9999"),
            ("plan", "deepseek-r1", "--on", "9x rtx 4090, ryzen 9 7950x"),
            ("plan", "deepseek-r1", "--context", "8"),
            ("plan", "deepseek-r1", "--budget", "5"),
            ("plan", "/nonexistent/model.gguf"),
            ("accuracy", "/nonexistent.csv"),
            ("accuracy",),
            ("catalog", "gpus", "zzz"),
            ("compare", "rtx 4090"),
        ],
        3,
        " ".join,
    ),
)
def test_bad_use_is_exit_two_with_one_clear_error(words: tuple[str, ...]) -> None:
    done = wellfed(*words)
    assert done.returncode == 2, done.stdout
    assert done.stderr.startswith("error: ")
    assert "Traceback" not in done.stderr
    assert "internal error" not in done.stderr


def test_truncated_model_file(tmp_path: object) -> None:
    path = Path(str(tmp_path)) / "cut.gguf"
    path.write_bytes(b"GGUF\x03\x00\x00\x00\xff\xff\xff\xff\xff\xff\xff\x0f")
    done = wellfed("plan", str(path))
    assert done.returncode == 2
    assert "internal error" not in done.stderr


def test_compare_and_buy_speak_json() -> None:
    done = wellfed("compare", "rtx 4090", "a100 80gb", "-m", "deepseek-r1:7b", "--json")
    assert [one["fits"] for one in json.loads(done.stdout)["machines"]] == [True, True]
    done = wellfed("plan", "deepseek-r1:7b", "--buy", "--top", "3", "--json")
    assert len(json.loads(done.stdout)["offers"]) == 3


def test_compare_draws(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    svg, png = tmp_path / "c.svg", tmp_path / "c.png"
    done = wellfed("compare", "rtx 4090", "rtx 3060", "-m", "deepseek-r1:70b", "--svg", str(svg), "--png", str(png))
    assert done.returncode == 0, done.stderr
    assert "<svg" in svg.read_text()
    assert png.read_bytes().startswith(b"\x89PNG")
    assert "for the money as A" in done.stdout


def test_broken_pipe_is_quiet() -> None:
    script = f"{sys.executable} -m wellfed catalog gpus | head -1"
    done = subprocess.run(["sh", "-c", script], capture_output=True, text=True, check=False)
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("words", "kind"),
    [
        (("plan", "no-such-model-7x", "--json"), "unknown"),
        (("plan", "--frob", "--json"), "usage"),
        (("accuracy", "/nowhere.csv", "--json"), "bad-input"),
    ],
)
def test_errors_under_json_are_an_object_on_stdout(words: tuple[str, ...], kind: str) -> None:
    done = wellfed(*words)
    assert done.returncode == 2
    error = json.loads(done.stdout)["error"]
    assert set(error) == {"kind", "message", "hint"}
    assert error["kind"] == kind
    assert error["message"] in done.stderr


@pytest.mark.parametrize("words", [("plan", "qwen3-8b", "--on", ""), ("fit", "--on", "  "), ("check", "--on", "")])
def test_no_machine_is_not_this_folder(words: tuple[str, ...]) -> None:
    done = wellfed(*words)
    assert done.returncode == 2 and "no machine is named" in done.stderr and "README" not in done.stderr


def test_a_strange_language_is_told_once_and_errors_are_in_the_askers() -> None:
    done = wellfed("explain", "TTFT", WELLFED_LANG="klingon")
    assert done.returncode == 0 and done.stderr.count("klingon") == 1
    assert wellfed("explain", "TTFT", WELLFED_LANG="en").stderr == ""
