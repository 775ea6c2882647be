"""Why something is not among the plans."""

from __future__ import annotations

from wellfed.frozen import dataclass


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why a whole engine, or a layout, is out."""

    subject: str
    reason: str
    hint: str = ""  # what would do, where something that was named cannot be
