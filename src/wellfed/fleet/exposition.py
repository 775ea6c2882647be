"""A page of `wellfed watch --export` -> figures, causes and facts. Whoever answers at that address may have written it.

Prometheus' text format 0.0.4; lines of other exporters, broken ones and those beyond the limits are passed over.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from dataclasses import dataclass, field

from wellfed.printable import printable
from wellfed.watching.facts import Fact
from wellfed.watching.registry import ALL

# Limits against a hostile page (assumed): far above what `wellfed watch --export` serves
MOST_BYTES = 1 << 20
_MOST_LINES, _MOST_LINE = 20_000, 2_000  # lines of a page; characters of a line
_MOST_TARGETS, _MOST_FACTS, _MOST_TEXT = 16, 600, 120  # targets of a page; facts of a target; characters of a value
_LINE = re.compile(r"wellfed_watch_(\w+)\{((?:[^\"}]|\"(?:[^\"\\]|\\.)*\")*)\}\s+(\S+)(?:\s+-?\d+)?")
_LABEL = re.compile(r"([a-zA-Z_]\w*)=\"((?:[^\"\\]|\\.)*)\"")
_ESCAPED = re.compile(r"\\(.)")
# What history keeps of a page: column -> metric. Of several GPUs the worst counts.
FIGURES = {
    "user_tok_s": "user_tokens_per_second",
    "tok_s": "tokens_per_second",
    "prompt_tok_s": "prompt_tokens_per_second",
    "running": "requests_running",
    "waiting": "requests_waiting",
    "kv_usage": "kv_cache_usage",
    "planned_tok_s": "planned_tokens_per_second",
    "planned_low_tok_s": "planned_low_tokens_per_second",
    "probe_ttft_s": "probe_first_token_seconds",
    "probe_tok_s": "probe_tokens_per_second",
}
GPU_FIGURES = {"gpu_clock_share": min, "gpu_link_share": max, "gpu_busy": min, "gpu_power_share": max}
COLUMNS = (*FIGURES, *GPU_FIGURES)
_COLUMN_OF = {metric: column for column, metric in FIGURES.items()}
_RULES = {rule.id: rule.kind.value for rule in ALL}


@dataclass(slots=True)
class Page:
    """What one exporter tells of one target. `causes`: ids of rules that are named."""

    target: str
    figures: dict[str, float] = field(default_factory=dict)
    causes: set[str] = field(default_factory=set)
    facts: dict[tuple[str, str], str] = field(default_factory=dict)
    ill: bool = False

    @property
    def fact_list(self) -> tuple[Fact, ...]:
        """The facts in order."""
        return tuple(Fact(*key, value) for key, value in sorted(self.facts.items()))


def read_pages(text: str) -> tuple[Page, ...]:
    """A page for each target, in the order they come; none where nothing of a watch is told."""
    pages: dict[str, Page] = {}
    for metric, labels, value in _samples(text):
        target = labels.get("target")
        if target is None or (target not in pages and len(pages) >= _MOST_TARGETS):
            continue
        page = pages.setdefault(target, Page(target))
        _take(page, metric, labels, value)
    return tuple(pages.values())


def _samples(text: str) -> Iterator[tuple[str, dict[str, str], float]]:
    for number, line in enumerate(text.splitlines()):
        if number >= _MOST_LINES:
            return
        match = _LINE.fullmatch(line) if len(line) <= _MOST_LINE and line.startswith("wellfed_watch_") else None
        value = None if match is None else _number(match[3])
        if match is not None and value is not None:
            yield match[1], {name: _plain(value_text) for name, value_text in _LABEL.findall(match[2])}, value


def _number(text: str) -> float | None:
    try:
        value = float(text)
    except ValueError:
        return None
    return value if math.isfinite(value) and abs(value) < 1e15 else None


def _plain(text: str) -> str:
    unescaped = _ESCAPED.sub(lambda match: "\n" if match[1] == "n" else match[1], text)
    return printable(unescaped, _MOST_TEXT)


def _take(page: Page, metric: str, labels: dict[str, str], value: float) -> None:
    if metric in _COLUMN_OF:
        page.figures[_COLUMN_OF[metric]] = value
    elif metric in GPU_FIGURES:
        before = page.figures.get(metric)
        page.figures[metric] = value if before is None else GPU_FIGURES[metric](before, value)
    elif metric == "ill":
        page.ill = value > 0
    elif metric == "diagnosis" and value > 0 and labels.get("id") in _RULES:
        page.causes.add(labels["id"])
    elif metric == "fact" and len(page.facts) < _MOST_FACTS and labels.get("subject") and labels.get("name"):
        page.facts[labels["subject"], labels["name"]] = labels.get("value", "")


def kind_of(cause: str) -> str:
    """Whether a rule names a fault (`ill`) or a healthy limit."""
    return _RULES.get(cause, "unknown")
