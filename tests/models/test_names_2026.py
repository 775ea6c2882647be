"""Names as people wrote them in 2026, against what they were said to be."""

from __future__ import annotations

import csv
from functools import cache
from pathlib import Path

import pytest

from wellfed.resolution import Refused, Resolved, resolve

# published sizes are rounded, may count towers, embeddings or prediction layers: 6 %, or 0.6 billion for small ones
_SLACK, _LEAST_SLACK = 0.06, 0.6
_ACTIVE_SLACK = 1.0  # of which some sources count half
_UNDERSTOOD = 0.95


@cache
def answers(table: Path) -> list[tuple[dict[str, str], Resolved | Refused]]:
    """Each row and what wellfed understands."""
    rows = list(csv.DictReader(table.open(encoding="utf-8")))
    return list(zip(rows, resolve([row["name"] for row in rows]), strict=True))


def fits(row: dict[str, str], answer: Resolved) -> bool:
    """Whether the answer has the parameters that the row tells, all and active ones."""
    total, active = row["total_b"], row["active_b"]
    counts = [count / 1e9 for count in (answer.parameters, answer.total_parameters) if count]
    if total and not any(near(count, float(total), _SLACK, _LEAST_SLACK) for count in counts):
        return False
    if not active or not answer.active_parameters or float(active) == float(total or 0):
        return True
    return near(answer.active_parameters / 1e9, float(active), _ACTIVE_SLACK, _LEAST_SLACK)


def near(value: float, wanted: float, slack: float, least: float) -> bool:
    """Within a share or an amount."""
    return abs(value - wanted) <= max(slack * wanted, least)


@pytest.mark.shared
def test_no_name_is_taken_for_another(shared: Path) -> None:
    rows = answers(shared / "truth_2026" / "names.csv")
    wrong = [
        (row["name"], answer.id)
        for row, answer in rows
        if isinstance(answer, Resolved) and not (row["want"] == "model" and fits(row, answer))
    ]
    assert wrong == []


@pytest.mark.shared
def test_language_models_are_understood(shared: Path) -> None:
    rows = [(row, answer) for row, answer in answers(shared / "truth_2026" / "names.csv") if row["want"] == "model"]
    unknown = [row["name"] for row, answer in rows if isinstance(answer, Refused)]
    assert 1 - len(unknown) / len(rows) >= _UNDERSTOOD, unknown


@pytest.mark.shared
def test_other_kinds_are_refused_as_what_they_are(shared: Path) -> None:
    for row, answer in answers(shared / "truth_2026" / "names.csv"):
        if row["want"] == "not-lm":
            assert isinstance(answer, Refused) and answer.kind == "not-a-language-model", row["name"]
        if row["want"] == "refuse":
            assert isinstance(answer, Refused), row["name"]
