"""Puts the samples of dumps, which belong to the readers' tests, on the path."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "topology"))
