"""Imported once by the process that workers are forked from: they start with planner and catalogue in memory."""

from __future__ import annotations

from wellfed.catalog.calibration import bundled
from wellfed.catalog.models import entry_ids

bundled()
entry_ids()
