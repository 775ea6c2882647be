"""Names of models: which is meant, or why none is."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from wellfed.resolution import Refused, Resolved


def resolve(names: Sequence[str], hub: str | None = None) -> tuple[Resolved | Refused, ...]:
    """What is known of each name, in order; a refusal is an answer too. No hub is asked unless `hub` names one."""
    from wellfed import resolution

    return resolution.resolve(names, hub)
