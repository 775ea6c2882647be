"""Widths that are told: none, too small to show a word, or no number."""

from __future__ import annotations

import pytest

from wellfed.cli.console import console


@pytest.mark.parametrize(("columns", "width"), [("0", 20), ("3", 20), ("80", 80)])
def test_what_is_shown_has_room_for_words(columns: str, width: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", columns)
    console.cache_clear()
    try:
        assert console().width >= width
    finally:
        console.cache_clear()
