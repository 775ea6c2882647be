"""The pages of the checks are what the generator writes."""

from __future__ import annotations

import runpy
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def test_pages_are_up_to_date():
    generator = runpy.run_path(str(ROOT / "scripts" / "generate_check_docs.py"))
    assert generator["stale"](ROOT / "docs" / "checks") == []
