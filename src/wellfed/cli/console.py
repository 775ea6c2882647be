"""The one console: NO_COLOR, width and pipes are respected by rich."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.console import Console


@lru_cache(maxsize=1)
def console() -> Console:
    """stdout."""
    from rich.console import Console

    return Console(highlight=False, soft_wrap=False)


@lru_cache(maxsize=1)
def talk() -> Console:
    """stderr."""
    from rich.console import Console

    return Console(stderr=True, highlight=False)
