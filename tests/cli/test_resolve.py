"""`wellfed resolve` as programs meet it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

FIELDS = {
    "asked", "id", "name", "task", "parameters", "total_parameters", "active_parameters", "context", "format",
    "weight_bytes", "loaded_bytes", "weight_bytes_range", "how", "source", "assumptions",
}  # fmt: skip


def resolve(*words: str, stdin: bytes = b"", **environment: str) -> subprocess.CompletedProcess[bytes]:
    """Run the command."""
    env = {**os.environ, "NO_COLOR": "1", "COLUMNS": "120", **environment}
    command = [sys.executable, "-m", "wellfed", "resolve", *words]
    return subprocess.run(command, input=stdin, capture_output=True, check=False, env=env)


def answers(*words: str, stdin: bytes = b"") -> list[dict[str, Any]]:
    """What --json says of each name."""
    document = json.loads(resolve(*words, "--json", stdin=stdin).stdout)
    assert document["schema"] == "wellfed.resolve/1"
    return list(document["names"])


def test_one_answer_a_name_in_order_with_all_fields() -> None:
    first, second, third = answers("deepseek-r1", "no-such-model-7x", "qwen3 30b a3b q8_0")
    assert first.keys() == third.keys() == FIELDS
    assert (first["id"], first["how"], first["task"]) == ("deepseek-r1", "exact", "text")
    assert first["parameters"] < first["total_parameters"]  # a layer for multi-token prediction
    assert first["loaded_bytes"] < first["weight_bytes"]
    assert second["error"]["kind"] == "unknown" and second["error"]["hint"]
    assert (third["format"], third["id"]) == ("Q8_0", "qwen3-30b-a3b")
    assert third["weight_bytes"] == pytest.approx(third["parameters"] * 8.5 / 8, rel=0.01)


def test_exit_codes() -> None:
    assert resolve("deepseek-r1").returncode == 0
    assert resolve("deepseek-r1", "no-such-model-7x").returncode == 1
    assert resolve().returncode == 2


@pytest.mark.parametrize("coding", ["utf-8", "utf-8-sig", "utf-16"])
def test_standard_input_is_one_name_a_line(coding: str) -> None:
    lines = "deepseek-r1\nqwen3 8b q4_k_m\r\n\n通义千问3 32B\n".encode(coding)
    assert [answer["id"] for answer in answers("-", stdin=lines)] == ["deepseek-r1", "qwen3-8b", "qwen3-32b"]


def test_what_no_terminal_may_see_is_taken_out() -> None:
    hostile = "\x1b]0;owned\x07\x1b[31mqwen9-\u202e7b\x9b2J"
    for words in ((hostile,), (hostile, "--json")):
        done = resolve(*words)
        assert done.returncode == 1
        assert not {"\x1b", "\x07", "\x9b", "\u202e"} & set((done.stdout + done.stderr).decode())


def test_a_model_file_is_read_not_guessed(tmp_path: Path) -> None:
    config = {
        "model_type": "qwen3", "hidden_size": 64, "num_hidden_layers": 2, "num_attention_heads": 4,
        "num_key_value_heads": 2, "head_dim": 16, "intermediate_size": 128, "vocab_size": 1000,
        "max_position_embeddings": 4096, "_name_or_path": "somebody/\x1b[31mQwen3-8B",
    }  # fmt: skip
    folder = tmp_path / "Qwen3-8B"
    folder.mkdir()
    (folder / "config.json").write_text(json.dumps(config))
    (answer,) = answers(str(folder))
    assert answer["how"] == "path" and answer["parameters"] < 1e6
    assert b"\x1b" not in resolve(str(folder)).stdout


def test_text_tells_size_format_and_what_is_assumed() -> None:
    shown = resolve("unsloth/Qwen3-8B-GGUF").stdout.decode()
    assert "qwen3-8b" in shown and "loose" in shown and "assumed: " in shown


def test_plan_tells_at_the_top_what_a_name_was_taken_for() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "wellfed", "plan", "unsloth/Qwen3-8B-GGUF", "--on", "rtx 4090"],
        capture_output=True, text=True, check=False, env={**os.environ, "NO_COLOR": "1", "HF_HUB_OFFLINE": "1"},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    header = done.stdout.split("layout", 1)[0]
    assert "is taken for Qwen3-8B" in header
    assert "HF_HUB_OFFLINE" in header


@pytest.mark.parametrize("command", [("compare", "rtx 4090", "-m"), ("check", "--on", "rtx 4090", "-m")])
def test_every_verb_tells_it(command: tuple[str, ...]) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "wellfed", *command, "qwen3"],
        capture_output=True, text=True, check=False, env={**os.environ, "NO_COLOR": "1"},
    )  # fmt: skip
    assert "qwen3 is taken for Qwen3-8B" in done.stderr
