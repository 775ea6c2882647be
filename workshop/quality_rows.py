"""Leaderboards' files -> rows of catalog/data/quality.toml, by names that are in the catalogue; others are left out.

    python workshop/quality_rows.py ARENA.json LONG.json > rows.toml

ARENA.json: LMArena's text leaderboard (rows of category, model_name, rating, license); LONG.json: Artificial Analysis'
models with their evaluations. Of several settings of a model (thinking or not, effort) the best one counts.
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterator
from pathlib import Path

from wellfed.catalog.model_tables import model_ids

ARENA = ("github.com/Scarlett9826/arena-ai-leaderboards@5782ec07 (huggingface.co/datasets/lmarena-ai/"
         "leaderboard-dataset)", "2026-08-19")  # fmt: skip
LONG = ("artificialanalysis.ai, by github.com/oolong-tea-2026/artificial-analysis-leaderboards@ed1690f6", "2026-07-10")
KNOWN = frozenset(model_ids())
_SETTING = re.compile(
    r"-(instruct|it|chat|preview|bf16|fp8|nvfp4|thinking|no-thinking|non-thinking|high|max|low|turbo|reasoning|instant|"
    r"high-preview|20260813)$"
)
_MAKER = re.compile(r"^(nvidia|ibm|c4ai)-")
_CALLED = {
    "mistral-small-2506": "mistral-small-3.2-24b", "mistral-small-3.2": "mistral-small-3.2-24b",
    "mistral-small-3.1": "mistral-small-3.1-24b", "mistral-small-3.1-24b-instruct-2503": "mistral-small-3.1-24b",
    "mistral-small-24b-instruct-2501": "mistral-small-24b", "devstral-small-2": "devstral-small-2-24b",
    "mistral-small-4": "mistral-small-4-119b", "llama-4-maverick-17b-128e-instruct": "llama-4-maverick",
    "llama-4-scout-17b-16e-instruct": "llama-4-scout", "ibm-granite-h-small": "granite-4.0-h-small",
    "command-a-03-2025": "command-a-111b", "command-a": "command-a-111b", "command-r": "command-r-v01",
    "nvidia-llama-3.3-nemotron-super-49b-v1.5": "llama-3.3-nemotron-super-49b-v1.5",
    "llama-nemotron-super-49b-v1.5": "llama-3.3-nemotron-super-49b-v1.5",
    "llama-3.3-nemotron-49b-super-v1": "llama-3.3-nemotron-super-49b", "olmo-2-0325-32b-instruct": "olmo-2-32b",
    "olmo-3-32b-think": "olmo-3-32b", "mistral-7b-instruct": "mistral-7b-v0.1",
    "mistral-7b-instruct-v0.2": "mistral-7b-v0.2", "solar-10.7b-instruct-v1.0": "solar-10.7b",
    "internlm2_5-20b-chat": "internlm2.5-20b", "phi-3-mini-4k-instruct-june-2024": "phi-3-mini",
    "phi-3-medium-4k-instruct": "phi-3-medium", "llama-3.1-405b-instruct-bf16": "llama-3.1-405b",
    "kimi-k2-0711-preview": "kimi-k2", "minimax-m1": "minimax-m1-80k", "llama-13b": "llama-1-13b",
    "mixtral-8x22b-instruct-v0.1": "mixtral-8x22b", "mixtral-8x7b-instruct-v0.1": "mixtral-8x7b",
    "k-exaone": "k-exaone-236b-a23b", "qwen2.5-instruct-72b": "qwen2.5-72b",
}  # fmt: skip
_NOT = frozenset({"qwq-32b-preview", "glm-5-turbo", "olmo-3.1-32b-think", "command-r-plus", "olmo-7b-instruct"})


def identity(name: str) -> str | None:
    """The catalogue's id of a leaderboard's name; None where it has no such model."""
    key = name.lower().replace(" (", "-").replace("(", "").replace(")", "").replace(",", "").replace(" ", "-")
    if key in _NOT:
        return None
    if key in _CALLED:
        return _CALLED[key]
    key = _MAKER.sub("", key)
    key = re.sub(r"-instruct-(\d+b)$", r"-\1", key)
    while key not in KNOWN:
        shorter = _SETTING.sub("", key)
        if shorter == key:
            return _CALLED.get(key)
        key = shorter
    return key


def arena(path: Path, category: str) -> dict[str, float]:
    """Ratings of open models."""
    best: dict[str, float] = {}
    for row in json.loads(path.read_text(encoding="utf-8"))["rows"]:
        if row["category"] == category and row["license"] != "Proprietary":
            _keep(best, identity(row["model_name"]), float(round(row["rating"])))
    return best


def long_context(path: Path) -> dict[str, float]:
    """Percent; nothing solved at all is a window too short for the test, and is left out."""
    best: dict[str, float] = {}
    for model in json.loads(path.read_text(encoding="utf-8"))["models"]:
        share = model["evaluations"].get("aa_lcr")
        if share:
            name = re.sub(r"2507 \(Reasoning\)", "Thinking 2507", model["name"])
            name = re.sub(r"2507 Instruct", "Instruct 2507", name)
            _keep(best, identity(re.sub(r"\(.*?\)", "", name).strip()), round(share * 100, 1))
    return best


def _keep(best: dict[str, float], key: str | None, value: float) -> None:
    if key is not None:
        best[key] = max(value, best.get(key, 0.0))


def rows(benchmark: str, values: dict[str, float], origin: tuple[str, str]) -> Iterator[str]:
    """A benchmark with its source and date, and one line a model."""
    yield from (f'[benchmarks."{benchmark}"]', f'source = "{origin[0]}"', f'date = "{origin[1]}"', "")
    yield f'[scores."{benchmark}"]'
    yield from (f'"{key}" = {values[key]:g}' for key in sorted(values))
    yield ""


if __name__ == "__main__":
    board, contexts = Path(sys.argv[1]), Path(sys.argv[2])
    for name, values, origin in (
        ("LMArena text", arena(board, "overall"), ARENA),
        ("LMArena coding", arena(board, "coding"), ARENA),
        ("AA-LCR", long_context(contexts), LONG),
    ):
        print("\n".join(rows(name, values, origin)))
